-- grain:  one row per stratum: network, commune, operator and technology met among all rows (scope 'province'), and among
--         those of each referral code and organisation (its holder)
-- inputs: core_measurement
-- rule:   samples are taken within a stratum, and every cell of a report is a union of strata; '' stands for no commune.
--         Its number tells scope and holder too, as in sample_test
with
measured as (
    select distinct
        stratum_number,
        network,
        coalesce(commune_code, '') as commune_code,
        coalesce(commune_valid_from, cast('0001-01-01' as date)) as commune_valid_from,
        operator,
        technology,
        target_download_mbps,
        code_number,
        referral_code,
        organisation_number,
        case when holder_kind = 'organisation' then holder_code end as organisation_code
    from core_measurement
),
stratum as (
    select
        stratum_number,
        'province' as scope, '' as holder, network, commune_code, commune_valid_from, operator, technology,
        target_download_mbps
    from measured
    union
    select
        stratum_number + code_number * 100000000000 as stratum_number,
        'referral_code' as scope, referral_code as holder, network, commune_code, commune_valid_from, operator, technology,
        target_download_mbps
    from measured
    where code_number is not null
    union
    select
        -(stratum_number + organisation_number * 100000000000) as stratum_number,
        'organisation' as scope, organisation_code as holder, network, commune_code, commune_valid_from, operator,
        technology, target_download_mbps
    from measured
    where organisation_number is not null
)
select * from stratum

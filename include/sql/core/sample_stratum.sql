-- grain:  one row per stratum: network, commune, operator and technology met among all rows (scope 'province'), and among
--         those of each referral code and organisation (its holder)
-- inputs: core_measurement
-- rule:   samples are taken within a stratum, and every cell of a report is a union of strata; '' stands for no commune
with
measured as (
    select distinct
        network,
        coalesce(commune_code, '') as commune_code,
        coalesce(commune_valid_from, cast('0001-01-01' as date)) as commune_valid_from,
        operator,
        technology,
        target_download_mbps,
        referral_code,
        case when holder_kind = 'organisation' then holder_code end as organisation_code
    from core_measurement
),
stratum as (
    select
        'province' as scope, '' as holder, network, commune_code, commune_valid_from, operator, technology,
        target_download_mbps
    from measured
    union
    select
        'referral_code' as scope, referral_code as holder, network, commune_code, commune_valid_from, operator, technology,
        target_download_mbps
    from measured
    where referral_code is not null
    union
    select
        'organisation' as scope, organisation_code as holder, network, commune_code, commune_valid_from, operator,
        technology, target_download_mbps
    from measured
    where organisation_code is not null
),
numbered as (
    select
        cast(row_number() over (
            order by scope, holder, network, commune_code, commune_valid_from, operator, technology
        ) as int) as stratum_number,
        stratum.*
    from stratum
)
select * from numbered

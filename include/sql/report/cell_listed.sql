-- grain:  one row per cell (key of a report table) of the month, measured or not
-- inputs: network, month_commune, month_referral_code, month_organisation, sample_stratum
-- rule:   every unit, code and organisation for both networks; operators and technologies as met
with
listed as (
    select 'commune' as cell, network.network, month_commune.commune_code as cell_key, '' as cell_subkey
    from month_commune
    cross join network
    union all
    select 'referral_code' as cell, network.network, month_referral_code.referral_code as cell_key, '' as cell_subkey
    from month_referral_code
    cross join network
    union all
    select 'organisation' as cell, network.network, month_organisation.organisation_code as cell_key, '' as cell_subkey
    from month_organisation
    cross join network
    union all
    select 'province' as cell, network.network, '' as cell_key, '' as cell_subkey
    from network
    union all
    select distinct 'operator' as cell, network, operator as cell_key, technology as cell_subkey
    from sample_stratum
    where scope = 'province'
    union all
    select distinct
        'commune_technology' as cell, sample_stratum.network, sample_stratum.commune_code as cell_key,
        sample_stratum.technology as cell_subkey
    from sample_stratum
    inner join month_commune
        on month_commune.commune_code = sample_stratum.commune_code
            and month_commune.valid_from = sample_stratum.commune_valid_from
    where sample_stratum.scope = 'province'
),
numbered as (
    select
        cast(row_number() over (order by cell, network, cell_key, cell_subkey) as int) as cell_number,
        listed.*
    from listed
)
select * from numbered

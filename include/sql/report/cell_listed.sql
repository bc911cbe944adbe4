-- grain:  one row per cell (key of a report table) of the month, measured or not
-- inputs: network, month_commune, month_referral_code, month_organisation, core_measurement, cell_sample
-- rule:   every unit, code and organisation for both networks; operators and technologies as met
with
cell_listed as (
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
    from core_measurement
    union all
    select distinct cell, network, cell_key, cell_subkey
    from cell_sample
    where cell = 'commune_technology'
)
select * from cell_listed

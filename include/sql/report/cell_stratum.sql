-- grain:  one row per cell and stratum that is part of it
-- inputs: cell_listed, sample_stratum, month_commune
-- rule:   a commune has its strata of all operators and technologies, and so on up to the province
with
placed as (
    select sample_stratum.*
    from sample_stratum
    inner join month_commune
        on month_commune.commune_code = sample_stratum.commune_code
            and month_commune.valid_from = sample_stratum.commune_valid_from
    where sample_stratum.scope = 'province'
),
part as (
    select 'commune' as cell, network, commune_code as cell_key, '' as cell_subkey, stratum_number
    from placed
    union all
    select 'commune_technology' as cell, network, commune_code as cell_key, technology as cell_subkey, stratum_number
    from placed
    union all
    select 'operator' as cell, network, operator as cell_key, technology as cell_subkey, stratum_number
    from sample_stratum
    where scope = 'province'
    union all
    select 'province' as cell, network, '' as cell_key, '' as cell_subkey, stratum_number
    from sample_stratum
    where scope = 'province'
    union all
    select scope as cell, network, holder as cell_key, '' as cell_subkey, stratum_number
    from sample_stratum
    where scope in ('referral_code', 'organisation')
),
numbered as (
    select cell_listed.cell_number, part.cell, part.stratum_number
    from part
    inner join cell_listed
        on cell_listed.cell = part.cell
            and cell_listed.network = part.network
            and cell_listed.cell_key = part.cell_key
            and cell_listed.cell_subkey = part.cell_subkey
)
select * from numbered

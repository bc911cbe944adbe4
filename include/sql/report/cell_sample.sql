-- grain:  one row per cell of a report table and representative sample in it
-- inputs: core_sample, month_commune
-- rule:   a cell is a report table's key: what the figures stand beside
with
commune_sample as (
    select core_sample.*
    from core_sample
    inner join month_commune
        on month_commune.commune_code = core_sample.commune_code
            and month_commune.valid_from = core_sample.commune_valid_from
    where core_sample.scope = 'province'
),
cell_sample as (
    select 'commune' as cell, commune_code as cell_key, '' as cell_subkey, commune_sample.*
    from commune_sample
    union all
    select 'commune_technology' as cell, commune_code as cell_key, technology as cell_subkey, commune_sample.*
    from commune_sample
    union all
    select 'operator' as cell, operator as cell_key, technology as cell_subkey, core_sample.*
    from core_sample
    where scope = 'province'
    union all
    select 'province' as cell, '' as cell_key, '' as cell_subkey, core_sample.*
    from core_sample
    where scope = 'province'
    union all
    select scope as cell, holder as cell_key, '' as cell_subkey, core_sample.*
    from core_sample
    where scope in ('referral_code', 'organisation')
)
select * from cell_sample

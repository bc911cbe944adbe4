-- grain:  one row per network and commune of the registry as of the month
-- inputs: params, month_commune, cell_figure
-- rule:   Phụ lục I: every unit, measured or not
with
report as (
    select
        params.first_day as month,
        month_commune.commune_code,
        month_commune.commune_name,
        month_commune.kind,
        month_commune.district_code,
        month_commune.district_name,
        cell_figure.*
    from cell_figure
    inner join month_commune on month_commune.commune_code = cell_figure.cell_key
    cross join params
    where cell_figure.cell = 'commune'
)
select * from report

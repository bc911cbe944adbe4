-- grain:  one row per network and commune of the map of map_day, and one for what belongs to none
-- inputs: params, map_day, month_commune (made by map_commune.sql), cell_figure, cell_mix, cell_rank
-- rule:   figures computed anew from the measurements of each unit, never from figures of other units
with
report as (
    select
        params.first_day as month,
        map_day.boundaries_day,
        month_commune.commune_code,
        month_commune.commune_name,
        month_commune.kind,
        month_commune.district_code,
        month_commune.district_name,
        cell_figure.*,
        cell_mix.technology_mix,
        cell_mix.top_operator,
        cell_mix.top_operator_share,
        cell_rank.download_mbps_median_rank,
        cell_rank.n_ranked
    from cell_figure
    inner join month_commune on month_commune.commune_code = cell_figure.cell_key
    cross join params
    cross join map_day
    left join cell_mix using (cell, network, cell_key, cell_subkey)
    left join cell_rank using (cell, network, cell_key, cell_subkey)
    where cell_figure.cell = 'commune'
)
select * from report

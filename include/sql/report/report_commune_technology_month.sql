-- grain:  one row per network, commune and technology met in the month
-- inputs: params, month_commune, cell_figure, cell_rank
-- rule:   what report_commune_month pools, apart: the target of 4G is judged down to communes
with
report as (
    select
        params.first_day as month,
        month_commune.commune_code,
        month_commune.commune_name,
        month_commune.kind,
        cell_figure.cell_subkey as technology,
        cell_figure.*,
        cell_rank.download_mbps_median_rank,
        cell_rank.n_ranked
    from cell_figure
    inner join month_commune on month_commune.commune_code = cell_figure.cell_key
    cross join params
    left join cell_rank using (cell, network, cell_key, cell_subkey)
    where cell_figure.cell = 'commune_technology'
)
select * from report

-- grain:  one row per network and commune of the registry as of the month
-- inputs: params, month_commune, commune_progress, cell_figure, cell_mix, cell_rank
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
        cell_figure.*,
        cell_mix.technology_mix,
        cell_mix.top_operator,
        cell_mix.top_operator_share,
        cell_rank.download_mbps_median_rank,
        cell_rank.n_ranked,
        commune_progress.n_measurements_per_day,
        commune_progress.assess_day
    from cell_figure
    inner join month_commune on month_commune.commune_code = cell_figure.cell_key
    cross join params
    left join cell_mix using (cell, network, cell_key, cell_subkey)
    left join cell_rank using (cell, network, cell_key, cell_subkey)
    left join commune_progress
        on commune_progress.network = cell_figure.network and commune_progress.commune_code = cell_figure.cell_key
    where cell_figure.cell = 'commune'
)
select * from report

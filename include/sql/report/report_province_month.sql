-- grain:  one row per network
-- inputs: params, cell_figure, cell_mix
-- rule:   every accepted measurement; communes counted by their accepted measurements
with
commune_count as (
    select
        cell_figure.network,
        count(*) as n_communes,
        count(case when cell_figure.n_measurements >= params.publish_minimum then 1 end) as n_communes_publishable,
        count(case when cell_figure.n_measurements >= params.assess_minimum then 1 end) as n_communes_assessable
    from cell_figure
    cross join params
    where cell_figure.cell = 'commune'
    group by cell_figure.network
),
report as (
    select
        params.first_day as month,
        params.province_code,
        params.province_name,
        coalesce(commune_count.n_communes, 0) as n_communes,
        coalesce(commune_count.n_communes_publishable, 0) as n_communes_publishable,
        coalesce(commune_count.n_communes_assessable, 0) as n_communes_assessable,
        cell_figure.*,
        cell_mix.technology_mix,
        cell_mix.top_operator,
        cell_mix.top_operator_share
    from cell_figure
    cross join params
    left join cell_mix using (cell, network, cell_key, cell_subkey)
    left join commune_count on commune_count.network = cell_figure.network
    where cell_figure.cell = 'province'
)
select * from report

-- grain:  one row per network, operator and technology met in the month
-- inputs: params, core_measurement, cell_figure, cell_rank
-- rule:   the brand is the operator; the network that carries it stands beside it
with
host as (
    select operator, min(host_network) as host_network from core_measurement group by operator
),
report as (
    select
        params.first_day as month,
        host.operator,
        host.host_network,
        cell_figure.cell_subkey as technology,
        cell_figure.*,
        cell_rank.download_mbps_median_rank,
        cell_rank.n_ranked
    from cell_figure
    inner join host on host.operator = cell_figure.cell_key
    cross join params
    left join cell_rank using (cell, network, cell_key, cell_subkey)
    where cell_figure.cell = 'operator'
)
select * from report

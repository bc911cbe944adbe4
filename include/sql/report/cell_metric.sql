-- grain:  one row per cell and metric
-- inputs: params, cell_value, interval_rank (the rank k of each n)
-- rule:   percentiles by linear interpolation; 95 % interval of the median [x(k), x(n-k+1)] from order statistics;
--         published to 2 decimals, half up, so that no figure depends on the order in which it was summed;
--         a metric that too few devices measured is not published, even where the cell has enough of them
with
metric as (
    select
        cell,
        network,
        cell_key,
        cell_subkey,
        metric,
        count(distinct device_key) as n_devices,
        percentile_cont(0.5) within group (order by value) as median,
        avg(value) as mean,
        percentile_cont(0.1) within group (order by value) as p10,
        percentile_cont(0.25) within group (order by value) as p25,
        percentile_cont(0.75) within group (order by value) as p75,
        percentile_cont(0.9) within group (order by value) as p90,
        max(case when place = interval_rank.k then value end) as ci_low,
        max(case when place = cell_value.n - interval_rank.k + 1 then value end) as ci_high
    from cell_value
    left join interval_rank on interval_rank.n = cell_value.n
    group by cell, network, cell_key, cell_subkey, metric
),
published as (
    select
        metric.cell,
        metric.network,
        metric.cell_key,
        metric.cell_subkey,
        metric.metric,
        cast(round(cast(median as decimal(18, 6)), 2) as double) as median,
        cast(round(cast(mean as decimal(18, 6)), 2) as double) as mean,
        cast(round(cast(p10 as decimal(18, 6)), 2) as double) as p10,
        cast(round(cast(p25 as decimal(18, 6)), 2) as double) as p25,
        cast(round(cast(p75 as decimal(18, 6)), 2) as double) as p75,
        cast(round(cast(p90 as decimal(18, 6)), 2) as double) as p90,
        cast(round(cast(ci_low as decimal(18, 6)), 2) as double) as ci_low,
        cast(round(cast(ci_high as decimal(18, 6)), 2) as double) as ci_high
    from metric
    cross join params
    where metric.n_devices >= params.device_minimum
)
select * from published

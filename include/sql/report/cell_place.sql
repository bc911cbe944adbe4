-- grain:  one row per cell, metric and rank whose value goes into a figure
-- inputs: cell_count, interval_rank (the rank k of each n)
-- rule:   percentiles by linear interpolation between the values of rank 1 + (n - 1) p, rounded down and up; 95 %
--         interval of the median [x(k), x(n-k+1)] from order statistics
with
percentile as (
    select 10 as pct
    union all
    select 25 as pct
    union all
    select 50 as pct
    union all
    select 75 as pct
    union all
    select 90 as pct
),
reached as (
    select
        cell_count.cell_number,
        cell_count.metric,
        percentile.pct,
        1 + cast(floor((cell_count.n - 1) * percentile.pct / cast(100 as double)) as bigint) as place,
        ((cell_count.n - 1) * percentile.pct % 100) / cast(100 as double) as part
    from cell_count
    cross join percentile
),
-- Its weight in a percentile: how near a rank is to the one that is meant.
weighted as (
    select cell_number, metric, pct, place, 1 - part as weight from reached
    union all
    select cell_number, metric, pct, place + 1 as place, part as weight from reached where part > 0
    union all
    select cell_count.cell_number, cell_count.metric, 0 as pct, interval_rank.k as place, cast(1 as double) as weight
    from cell_count
    inner join interval_rank on interval_rank.n = cell_count.n
    union all
    select
        cell_count.cell_number, cell_count.metric, 100 as pct, cell_count.n - interval_rank.k + 1 as place,
        cast(1 as double) as weight
    from cell_count
    inner join interval_rank on interval_rank.n = cell_count.n
),
place as (
    select
        cell_number,
        metric,
        place,
        sum(case when pct = 10 then weight else 0 end) as in_p10,
        sum(case when pct = 25 then weight else 0 end) as in_p25,
        sum(case when pct = 50 then weight else 0 end) as in_median,
        sum(case when pct = 75 then weight else 0 end) as in_p75,
        sum(case when pct = 90 then weight else 0 end) as in_p90,
        max(case when pct = 0 then 1 else 0 end) = 1 as is_ci_low,
        max(case when pct = 100 then 1 else 0 end) = 1 as is_ci_high
    from weighted
    group by cell_number, metric, place
)
select * from place

-- grain:  one row per cell of one kind, for one metric
-- inputs: asked_metric (the metric), cell_sample, cell_place
-- rule:   published to 2 decimals, half up, so that no figure depends on the order in which it was summed
with
measured as (
    select
        cell_sample.cell_number,
        case asked_metric.metric
            when 'download_mbps' then cell_sample.download_mbps
            when 'upload_mbps' then cell_sample.upload_mbps
            when 'ping_ms' then cell_sample.ping_ms
            else cell_sample.jitter_ms
        end as value
    from cell_sample
    cross join asked_metric
),
ranked as (
    select
        cell_number,
        value,
        row_number() over (partition by cell_number order by value) as place
    from measured
    where value is not null
),
-- Only of a few ranks is the value wanted, and with what weight in which figure stands beside them.
metric as (
    select
        ranked.cell_number,
        cell_place.metric,
        sum(ranked.value * cell_place.in_p10) as p10,
        sum(ranked.value * cell_place.in_p25) as p25,
        sum(ranked.value * cell_place.in_median) as median,
        sum(ranked.value * cell_place.in_p75) as p75,
        sum(ranked.value * cell_place.in_p90) as p90,
        max(case when cell_place.is_ci_low then ranked.value end) as ci_low,
        max(case when cell_place.is_ci_high then ranked.value end) as ci_high
    from ranked
    inner join cell_place on cell_place.cell_number = ranked.cell_number and cell_place.place = ranked.place
    inner join asked_metric on asked_metric.metric = cell_place.metric
    group by ranked.cell_number, cell_place.metric
),
published as (
    select
        cell_number,
        metric,
        cast(round(cast(median as decimal(18, 6)), 2) as double) as median,
        cast(round(cast(p10 as decimal(18, 6)), 2) as double) as p10,
        cast(round(cast(p25 as decimal(18, 6)), 2) as double) as p25,
        cast(round(cast(p75 as decimal(18, 6)), 2) as double) as p75,
        cast(round(cast(p90 as decimal(18, 6)), 2) as double) as p90,
        cast(round(cast(ci_low as decimal(18, 6)), 2) as double) as ci_low,
        cast(round(cast(ci_high as decimal(18, 6)), 2) as double) as ci_high
    from metric
)
select * from published

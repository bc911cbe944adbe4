-- grain:  one row per cell of one kind, for one metric
-- inputs: asked_cell, asked_metric (the kind and the metric), core_sample, cell_stratum, cell_count, interval_rank
--         (the rank k of each n)
-- rule:   percentiles by linear interpolation between the values of rank 1 + (n - 1) p, rounded down and up; 95 %
--         interval of the median [x(k), x(n-k+1)] from order statistics; published to 2 decimals, half up, so that no
--         figure depends on the order in which it was summed
with
measured as (
    select
        cell_stratum.cell_number,
        case asked_metric.metric
            when 'download_mbps' then core_sample.download_mbps
            when 'upload_mbps' then core_sample.upload_mbps
            when 'ping_ms' then core_sample.ping_ms
            else core_sample.jitter_ms
        end as value
    from core_sample
    inner join cell_stratum on cell_stratum.stratum_number = core_sample.stratum_number
    inner join asked_cell on asked_cell.cell = cell_stratum.cell
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
wanted as (
    select
        cell_count.cell_number,
        cell_count.metric,
        interval_rank.k,
        cell_count.n - interval_rank.k + 1 as k_from_above,
        1 + cast(floor((cell_count.n - 1) * 10 / cast(100 as double)) as bigint) as place_10,
        1 + cast(floor((cell_count.n - 1) * 25 / cast(100 as double)) as bigint) as place_25,
        1 + cast(floor((cell_count.n - 1) * 50 / cast(100 as double)) as bigint) as place_50,
        1 + cast(floor((cell_count.n - 1) * 75 / cast(100 as double)) as bigint) as place_75,
        1 + cast(floor((cell_count.n - 1) * 90 / cast(100 as double)) as bigint) as place_90,
        ((cell_count.n - 1) * 10 % 100) / cast(100 as double) as part_10,
        ((cell_count.n - 1) * 25 % 100) / cast(100 as double) as part_25,
        ((cell_count.n - 1) * 50 % 100) / cast(100 as double) as part_50,
        ((cell_count.n - 1) * 75 % 100) / cast(100 as double) as part_75,
        ((cell_count.n - 1) * 90 % 100) / cast(100 as double) as part_90
    from cell_count
    inner join asked_metric on asked_metric.metric = cell_count.metric
    left join interval_rank on interval_rank.n = cell_count.n
),
-- A value's weight in a percentile: how near its rank is to the one that is meant.
metric as (
    select
        ranked.cell_number,
        wanted.metric,
        avg(ranked.value) as mean,
        sum(
            case ranked.place
                when wanted.place_10 then ranked.value * (1 - wanted.part_10)
                when wanted.place_10 + 1 then ranked.value * wanted.part_10
            end
        ) as p10,
        sum(
            case ranked.place
                when wanted.place_25 then ranked.value * (1 - wanted.part_25)
                when wanted.place_25 + 1 then ranked.value * wanted.part_25
            end
        ) as p25,
        sum(
            case ranked.place
                when wanted.place_50 then ranked.value * (1 - wanted.part_50)
                when wanted.place_50 + 1 then ranked.value * wanted.part_50
            end
        ) as median,
        sum(
            case ranked.place
                when wanted.place_75 then ranked.value * (1 - wanted.part_75)
                when wanted.place_75 + 1 then ranked.value * wanted.part_75
            end
        ) as p75,
        sum(
            case ranked.place
                when wanted.place_90 then ranked.value * (1 - wanted.part_90)
                when wanted.place_90 + 1 then ranked.value * wanted.part_90
            end
        ) as p90,
        max(case when ranked.place = wanted.k then ranked.value end) as ci_low,
        max(case when ranked.place = wanted.k_from_above then ranked.value end) as ci_high
    from ranked
    inner join wanted on wanted.cell_number = ranked.cell_number
    group by ranked.cell_number, wanted.metric
),
published as (
    select
        cell_number,
        metric,
        cast(round(cast(median as decimal(18, 6)), 2) as double) as median,
        cast(round(cast(mean as decimal(18, 6)), 2) as double) as mean,
        cast(round(cast(p10 as decimal(18, 6)), 2) as double) as p10,
        cast(round(cast(p25 as decimal(18, 6)), 2) as double) as p25,
        cast(round(cast(p75 as decimal(18, 6)), 2) as double) as p75,
        cast(round(cast(p90 as decimal(18, 6)), 2) as double) as p90,
        cast(round(cast(ci_low as decimal(18, 6)), 2) as double) as ci_low,
        cast(round(cast(ci_high as decimal(18, 6)), 2) as double) as ci_high
    from metric
)
select * from published

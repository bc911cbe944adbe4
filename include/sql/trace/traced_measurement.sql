-- grain:  one row per accepted measurement of the asked cell
-- inputs: asked_cell (cell, its network or null for all, key, subkey, third key), asked_metric, traced_core (core_measurement,
--         or a restated month's), flag_measurement, month_commune
-- rule:   a cell's rows as sample_stratum and cell_stratum put them; its samples and devices are numbered in the order of
--         their first rows, so that no number tells of a device
with
flagged as (
    select source_file, row_number, string_agg(reason, ', ' order by reason) as reason
    from flag_measurement
    group by source_file, row_number
),
cell_row as (
    select
        traced_core.*,
        case asked_metric.metric
            when 'upload_mbps' then traced_core.upload_mbps
            when 'ping_ms' then traced_core.ping_ms
            when 'jitter_ms' then traced_core.jitter_ms
            else traced_core.download_mbps
        end as value,
        row_number() over (order by traced_core.source_file, traced_core.row_number) as place
    from traced_core
    cross join asked_cell
    cross join asked_metric
    left join month_commune
        on month_commune.commune_code = traced_core.commune_code
            and month_commune.valid_from = traced_core.commune_valid_from
    where (asked_cell.network is null or traced_core.network = asked_cell.network)
        and case asked_cell.cell
            when 'commune' then month_commune.commune_code = asked_cell.cell_key
            when 'commune_technology'
                then month_commune.commune_code = asked_cell.cell_key and traced_core.technology = asked_cell.cell_subkey
            when 'operator'
                then traced_core.operator = asked_cell.cell_key and traced_core.technology = asked_cell.cell_subkey
            when 'referral_code' then traced_core.referral_code = asked_cell.cell_key
            when 'organisation'
                then traced_core.holder_kind = 'organisation' and traced_core.holder_code = asked_cell.cell_key
            when 'origin'
                then traced_core.origin_code = asked_cell.cell_key
                    and traced_core.attribution = asked_cell.cell_subkey
                    and traced_core.commune_code = asked_cell.third_key
            else asked_cell.cell = 'province'
        end
),
sampled as (
    select
        cell_row.*,
        min(place) over (partition by stratum_number, device_key, window_start) as sample_place,
        min(place) over (partition by device_key) as device_place
    from cell_row
),
valued as (
    select sample_place, median(value) as sample_value from sampled group by sample_place
),
traced as (
    select
        sampled.source_file,
        sampled.row_number,
        sampled.measured_on,
        'accepted' as outcome,
        flagged.reason,
        sampled.technology,
        sampled.operator,
        dense_rank() over (order by sampled.sample_place) as sample,
        dense_rank() over (order by sampled.device_place) as device,
        sampled.value,
        valued.sample_value,
        sampled.target_download_mbps,
        valued.sample_value >= sampled.target_download_mbps as reaches_target
    from sampled
    inner join valued on valued.sample_place = sampled.sample_place
    left join flagged on flagged.source_file = sampled.source_file and flagged.row_number = sampled.row_number
)
select * from traced

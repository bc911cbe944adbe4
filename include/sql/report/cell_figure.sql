-- grain:  one row per cell of the month
-- inputs: params, cell_listed, cell_stratum, stratum_tally, cell_device, cell_metric, previous_month, previous_figure
--         (as published)
-- rule:   a cell under the minimum of measurements or devices carries counts and a reason, but no speeds;
--         nor does what a restated month cannot attribute to one unit
with
tally as (
    select
        cell_stratum.cell_number,
        cast(sum(stratum_tally.n_measurements) as bigint) as n_measurements,
        cast(sum(stratum_tally.n_samples) as bigint) as n_samples,
        max(cell_device.n_devices) as n_devices,
        cast(sum(stratum_tally.n_with_target) as bigint) as n_with_target,
        cast(sum(stratum_tally.n_at_target) as bigint) as n_at_target
    from cell_stratum
    inner join stratum_tally on stratum_tally.stratum_number = cell_stratum.stratum_number
    inner join cell_device on cell_device.cell_number = cell_stratum.cell_number
    group by cell_stratum.cell_number
),
counted as (
    select
        cell_listed.cell_number,
        cell_listed.cell,
        cell_listed.network,
        cell_listed.cell_key,
        cell_listed.cell_subkey,
        coalesce(tally.n_measurements, 0) as n_measurements,
        coalesce(tally.n_samples, 0) as n_samples,
        coalesce(tally.n_devices, 0) as n_devices,
        tally.n_with_target,
        tally.n_at_target,
        case
            when cell_listed.cell_key <> 'not_attributable'
                then greatest(params.publish_minimum - coalesce(tally.n_measurements, 0), 0)
        end as n_missing_to_publish,
        case
            when cell_listed.cell_key <> 'not_attributable'
                then greatest(params.assess_minimum - coalesce(tally.n_measurements, 0), 0)
        end as n_missing_to_assess,
        case
            when cell_listed.cell_key = 'not_attributable' then 'not_attributable'
            when tally.n_measurements is null then 'no_samples'
            when tally.n_measurements < params.publish_minimum then 'below_publish_minimum'
            when tally.n_devices < params.device_minimum then 'too_few_devices'
        end as reason
    from cell_listed
    cross join params
    left join tally on tally.cell_number = cell_listed.cell_number
),
wide as (
    select
        cell_number,
        max(case when metric = 'download_mbps' then median end) as download_mbps_median,
        max(case when metric = 'download_mbps' then mean end) as download_mbps_mean,
        max(case when metric = 'download_mbps' then p10 end) as download_mbps_p10,
        max(case when metric = 'download_mbps' then p25 end) as download_mbps_p25,
        max(case when metric = 'download_mbps' then p75 end) as download_mbps_p75,
        max(case when metric = 'download_mbps' then p90 end) as download_mbps_p90,
        max(case when metric = 'download_mbps' then ci_low end) as download_mbps_ci_low,
        max(case when metric = 'download_mbps' then ci_high end) as download_mbps_ci_high,
        max(case when metric = 'upload_mbps' then median end) as upload_mbps_median,
        max(case when metric = 'upload_mbps' then mean end) as upload_mbps_mean,
        max(case when metric = 'upload_mbps' then p10 end) as upload_mbps_p10,
        max(case when metric = 'upload_mbps' then p25 end) as upload_mbps_p25,
        max(case when metric = 'upload_mbps' then p75 end) as upload_mbps_p75,
        max(case when metric = 'upload_mbps' then p90 end) as upload_mbps_p90,
        max(case when metric = 'upload_mbps' then ci_low end) as upload_mbps_ci_low,
        max(case when metric = 'upload_mbps' then ci_high end) as upload_mbps_ci_high,
        max(case when metric = 'ping_ms' then median end) as ping_ms_median,
        max(case when metric = 'ping_ms' then mean end) as ping_ms_mean,
        max(case when metric = 'ping_ms' then p10 end) as ping_ms_p10,
        max(case when metric = 'ping_ms' then p25 end) as ping_ms_p25,
        max(case when metric = 'ping_ms' then p75 end) as ping_ms_p75,
        max(case when metric = 'ping_ms' then p90 end) as ping_ms_p90,
        max(case when metric = 'ping_ms' then ci_low end) as ping_ms_ci_low,
        max(case when metric = 'ping_ms' then ci_high end) as ping_ms_ci_high,
        max(case when metric = 'jitter_ms' then median end) as jitter_ms_median,
        max(case when metric = 'jitter_ms' then mean end) as jitter_ms_mean,
        max(case when metric = 'jitter_ms' then p10 end) as jitter_ms_p10,
        max(case when metric = 'jitter_ms' then p25 end) as jitter_ms_p25,
        max(case when metric = 'jitter_ms' then p75 end) as jitter_ms_p75,
        max(case when metric = 'jitter_ms' then p90 end) as jitter_ms_p90,
        max(case when metric = 'jitter_ms' then ci_low end) as jitter_ms_ci_low,
        max(case when metric = 'jitter_ms' then ci_high end) as jitter_ms_ci_high
    from cell_metric
    group by cell_number
),
blanked as (
    select
        counted.cell,
        counted.network,
        counted.cell_key,
        counted.cell_subkey,
        counted.n_measurements,
        counted.n_samples,
        counted.n_devices,
        case when counted.reason is null then wide.download_mbps_median end as download_mbps_median,
        case when counted.reason is null then wide.download_mbps_mean end as download_mbps_mean,
        case when counted.reason is null then wide.download_mbps_p10 end as download_mbps_p10,
        case when counted.reason is null then wide.download_mbps_p25 end as download_mbps_p25,
        case when counted.reason is null then wide.download_mbps_p75 end as download_mbps_p75,
        case when counted.reason is null then wide.download_mbps_p90 end as download_mbps_p90,
        case when counted.reason is null then wide.download_mbps_ci_low end as download_mbps_ci_low,
        case when counted.reason is null then wide.download_mbps_ci_high end as download_mbps_ci_high,
        case when counted.reason is null then wide.upload_mbps_median end as upload_mbps_median,
        case when counted.reason is null then wide.upload_mbps_mean end as upload_mbps_mean,
        case when counted.reason is null then wide.upload_mbps_p10 end as upload_mbps_p10,
        case when counted.reason is null then wide.upload_mbps_p25 end as upload_mbps_p25,
        case when counted.reason is null then wide.upload_mbps_p75 end as upload_mbps_p75,
        case when counted.reason is null then wide.upload_mbps_p90 end as upload_mbps_p90,
        case when counted.reason is null then wide.upload_mbps_ci_low end as upload_mbps_ci_low,
        case when counted.reason is null then wide.upload_mbps_ci_high end as upload_mbps_ci_high,
        case when counted.reason is null then wide.ping_ms_median end as ping_ms_median,
        case when counted.reason is null then wide.ping_ms_mean end as ping_ms_mean,
        case when counted.reason is null then wide.ping_ms_p10 end as ping_ms_p10,
        case when counted.reason is null then wide.ping_ms_p25 end as ping_ms_p25,
        case when counted.reason is null then wide.ping_ms_p75 end as ping_ms_p75,
        case when counted.reason is null then wide.ping_ms_p90 end as ping_ms_p90,
        case when counted.reason is null then wide.ping_ms_ci_low end as ping_ms_ci_low,
        case when counted.reason is null then wide.ping_ms_ci_high end as ping_ms_ci_high,
        case when counted.reason is null then wide.jitter_ms_median end as jitter_ms_median,
        case when counted.reason is null then wide.jitter_ms_mean end as jitter_ms_mean,
        case when counted.reason is null then wide.jitter_ms_p10 end as jitter_ms_p10,
        case when counted.reason is null then wide.jitter_ms_p25 end as jitter_ms_p25,
        case when counted.reason is null then wide.jitter_ms_p75 end as jitter_ms_p75,
        case when counted.reason is null then wide.jitter_ms_p90 end as jitter_ms_p90,
        case when counted.reason is null then wide.jitter_ms_ci_low end as jitter_ms_ci_low,
        case when counted.reason is null then wide.jitter_ms_ci_high end as jitter_ms_ci_high,
        case
            when counted.reason is null and counted.n_with_target > 0
                then cast(counted.n_at_target as double) / counted.n_with_target
        end as share_at_target,
        counted.n_missing_to_publish,
        counted.n_missing_to_assess,
        counted.reason,
        case
            when counted.reason is null
                then nullif(
                    concat_ws(
                        ', ',
                        case when wide.upload_mbps_median is null then 'upload_mbps' end,
                        case when wide.ping_ms_median is null then 'ping_ms' end,
                        case when wide.jitter_ms_median is null then 'jitter_ms' end
                    ),
                    ''
                )
        end as blank_metrics
    from counted
    left join wide on wide.cell_number = counted.cell_number
),
figure as (
    select
        blanked.*,
        cast(
            cast(blanked.download_mbps_median as decimal(18, 2))
            - cast(previous_figure.download_mbps_median as decimal(18, 2)) as double
        ) as download_mbps_median_change,
        case
            when previous_month.is_published = 0 then 'no_previous_month'
            when previous_figure.cell is null then 'new_unit'
            when blanked.download_mbps_median is null then 'blank_now'
            when previous_figure.download_mbps_median is null then 'blank_before'
        end as change_reason,
        case
            when blanked.download_mbps_median is null or previous_figure.download_mbps_median is null then null
            when blanked.download_mbps_ci_low > previous_figure.download_mbps_ci_high then 'up'
            when blanked.download_mbps_ci_high < previous_figure.download_mbps_ci_low then 'down'
            else 'unclear'
        end as change_sign
    from blanked
    cross join previous_month
    left join previous_figure
        on previous_figure.cell = blanked.cell
            and previous_figure.network = blanked.network
            and previous_figure.cell_key = blanked.cell_key
            and previous_figure.cell_subkey = blanked.cell_subkey
)
select * from figure

-- grain:  one row per network and place that VNNIC publishes figures of, in a month that they were fetched
-- inputs: params, arrived_atlas, cell_figure, month_commune
-- rule:   VNNIC's medians, ours, and ours minus theirs where both are there, with what they can differ by; else why not
with
ours as (
    select *, case cell when 'province' then 'province' else 'commune' end as level
    from cell_figure
    where cell in ('province', 'commune')
),
paired as (
    select
        params.first_day as month,
        arrived_atlas.*,
        case arrived_atlas.level
            when 'province' then params.province_name
            else month_commune.kind || ' ' || month_commune.commune_name
        end as name,
        ours.network as our_network,
        coalesce(ours.n_measurements, 0) as n_measurements,
        coalesce(ours.n_samples, 0) as n_samples,
        coalesce(ours.n_devices, 0) as n_devices,
        ours.reason as our_reason,
        ours.download_mbps_median,
        ours.download_mbps_ci_low,
        ours.download_mbps_ci_high,
        ours.upload_mbps_median,
        ours.ping_ms_median,
        ours.jitter_ms_median
    from arrived_atlas
    cross join params
    left join month_commune on arrived_atlas.level = 'commune' and month_commune.commune_code = arrived_atlas.code
    left join ours
        on ours.network = arrived_atlas.network
            and ours.level = arrived_atlas.level
            and (
                ours.cell_key = arrived_atlas.code
                or (ours.level = 'province' and arrived_atlas.code = params.province_code)
            )
),
report as (
    select
        *,
        cast(round(cast(download_mbps_median - atlas_download_mbps_median as decimal(18, 6)), 2) as double)
            as download_mbps_difference,
        cast(round(cast(upload_mbps_median - atlas_upload_mbps_median as decimal(18, 6)), 2) as double)
            as upload_mbps_difference,
        cast(round(cast(ping_ms_median - atlas_ping_ms_median as decimal(18, 6)), 2) as double)
            as ping_ms_difference,
        cast(round(cast(jitter_ms_median - atlas_jitter_ms_median as decimal(18, 6)), 2) as double)
            as jitter_ms_difference,
        case
            when download_mbps_median - atlas_download_mbps_median is null then null
            when atlas_download_mbps_median between download_mbps_ci_low and download_mbps_ci_high then 'within_interval'
            -- However samples are made of measurements, there are no more of them, and at least one a device.
            when atlas_n_samples > n_measurements or atlas_n_samples < n_devices then 'other_measurements'
            else 'other_method'
        end as likely_cause,
        case
            when our_network is null then 'not_in_registry'
            when atlas_download_mbps_median is null then 'atlas_no_figure'
            else our_reason
        end as reason
    from paired
)
select * from report

-- grain:  one row per cell of one kind that was measured
-- inputs: cell_sample
-- rule:   its devices, and by metric its representative samples that have the metric and the devices that measured it
with
device as (
    select
        cell_number,
        device_key,
        count(download_mbps) as n_download_mbps,
        count(upload_mbps) as n_upload_mbps,
        count(ping_ms) as n_ping_ms,
        count(jitter_ms) as n_jitter_ms
    from cell_sample
    group by cell_number, device_key
),
tally as (
    select
        cell_number,
        count(*) as n_devices,
        cast(sum(n_download_mbps) as bigint) as n_download_mbps,
        cast(sum(n_upload_mbps) as bigint) as n_upload_mbps,
        cast(sum(n_ping_ms) as bigint) as n_ping_ms,
        cast(sum(n_jitter_ms) as bigint) as n_jitter_ms,
        count(case when n_download_mbps > 0 then 1 end) as n_devices_download_mbps,
        count(case when n_upload_mbps > 0 then 1 end) as n_devices_upload_mbps,
        count(case when n_ping_ms > 0 then 1 end) as n_devices_ping_ms,
        count(case when n_jitter_ms > 0 then 1 end) as n_devices_jitter_ms
    from device
    group by cell_number
)
select * from tally

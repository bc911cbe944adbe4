-- grain:  one row per cell and metric that enough devices measured
-- inputs: params, cell_device
-- rule:   n representative samples have it; a metric of too few devices is not published, even in a cell of enough of them
with
counted as (
    select cell_number, 'download_mbps' as metric, n_download_mbps as n, n_devices_download_mbps as n_devices
    from cell_device
    union all
    select cell_number, 'upload_mbps' as metric, n_upload_mbps as n, n_devices_upload_mbps as n_devices
    from cell_device
    union all
    select cell_number, 'ping_ms' as metric, n_ping_ms as n, n_devices_ping_ms as n_devices
    from cell_device
    union all
    select cell_number, 'jitter_ms' as metric, n_jitter_ms as n, n_devices_jitter_ms as n_devices
    from cell_device
),
published as (
    select counted.*
    from counted
    cross join params
    where counted.n_devices >= params.device_minimum
)
select * from published

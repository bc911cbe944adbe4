-- grain:  one row per cell, metric and representative sample that has the metric
-- inputs: cell_sample
-- rule:   place is the value's rank within its cell and metric, n the number of values there
with
metric_value as (
    select cell, network, cell_key, cell_subkey, device_key, 'download_mbps' as metric, download_mbps as value
    from cell_sample
    union all
    select cell, network, cell_key, cell_subkey, device_key, 'upload_mbps' as metric, upload_mbps as value
    from cell_sample
    union all
    select cell, network, cell_key, cell_subkey, device_key, 'ping_ms' as metric, ping_ms as value
    from cell_sample
    union all
    select cell, network, cell_key, cell_subkey, device_key, 'jitter_ms' as metric, jitter_ms as value
    from cell_sample
),
ranked as (
    select
        *,
        row_number() over (partition by cell, network, cell_key, cell_subkey, metric order by value) as place,
        count(*) over (partition by cell, network, cell_key, cell_subkey, metric) as n
    from metric_value
    where value is not null
)
select * from ranked

-- grain:  one row per accepted measurement and stratum that it is in
-- inputs: core_measurement
-- rule:   a stratum by its number alone, so that a month of many millions stays narrow
with
test as (
    select stratum_number, device_key, window_start, download_mbps, upload_mbps, ping_ms, jitter_ms
    from core_measurement
    union all
    select
        stratum_number + code_number * 100000000000 as stratum_number,
        device_key, window_start, download_mbps, upload_mbps, ping_ms, jitter_ms
    from core_measurement
    where code_number is not null
    union all
    select
        -(stratum_number + organisation_number * 100000000000) as stratum_number,
        device_key, window_start, download_mbps, upload_mbps, ping_ms, jitter_ms
    from core_measurement
    where organisation_number is not null
)
select * from test

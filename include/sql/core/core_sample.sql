-- grain:  one row per representative sample of a stratum
-- inputs: sample_test, repeated_sample
-- rule:   the median of one device's tests by commune, operator, technology and window
--         (speedtest.vn/phuong-phap-thong-ke: one user weighs the same however often they test)
with
single as (
    select
        sample_test.stratum_number, sample_test.device_key, cast(1 as bigint) as n_measurements,
        download_mbps, upload_mbps, ping_ms, jitter_ms
    from sample_test
    left join repeated_sample
        on repeated_sample.stratum_number = sample_test.stratum_number
            and repeated_sample.device_key = sample_test.device_key
            and repeated_sample.window_start = sample_test.window_start
    where repeated_sample.stratum_number is null
),
-- The median of two is halfway between them, and of one, where the other has no figure, that one.
pair as (
    select
        sample_test.stratum_number, sample_test.device_key, repeated_sample.n_measurements,
        (min(download_mbps) + max(download_mbps)) / 2 as download_mbps,
        (min(upload_mbps) + max(upload_mbps)) / 2 as upload_mbps,
        (min(ping_ms) + max(ping_ms)) / 2 as ping_ms,
        (min(jitter_ms) + max(jitter_ms)) / 2 as jitter_ms
    from sample_test
    inner join repeated_sample
        on repeated_sample.stratum_number = sample_test.stratum_number
            and repeated_sample.device_key = sample_test.device_key
            and repeated_sample.window_start = sample_test.window_start
            and repeated_sample.n_measurements = 2
    group by
        sample_test.stratum_number, sample_test.device_key, sample_test.window_start, repeated_sample.n_measurements
),
several as (
    select
        sample_test.stratum_number, sample_test.device_key, repeated_sample.n_measurements,
        median(download_mbps) as download_mbps,
        median(upload_mbps) as upload_mbps,
        median(ping_ms) as ping_ms,
        median(jitter_ms) as jitter_ms
    from sample_test
    inner join repeated_sample
        on repeated_sample.stratum_number = sample_test.stratum_number
            and repeated_sample.device_key = sample_test.device_key
            and repeated_sample.window_start = sample_test.window_start
            and repeated_sample.n_measurements > 2
    group by
        sample_test.stratum_number, sample_test.device_key, sample_test.window_start, repeated_sample.n_measurements
),
sample as (
    select * from single
    union all
    select * from pair
    union all
    select * from several
)
select * from sample

-- grain:  one row per accepted measurement and stratum that it is in
-- inputs: core_measurement, sample_stratum
-- rule:   a stratum by its number, so that a month of many millions stays narrow
with
measured as (
    select
        core_measurement.*,
        coalesce(commune_code, '') as stratum_commune,
        coalesce(commune_valid_from, cast('0001-01-01' as date)) as stratum_valid_from
    from core_measurement
),
test as (
    select stratum_number, device_key, window_start, download_mbps, upload_mbps, ping_ms, jitter_ms
    from measured
    inner join sample_stratum
        on sample_stratum.scope = 'province'
            and sample_stratum.network = measured.network
            and sample_stratum.commune_code = measured.stratum_commune
            and sample_stratum.commune_valid_from = measured.stratum_valid_from
            and sample_stratum.operator = measured.operator
            and sample_stratum.technology = measured.technology
    union all
    select stratum_number, device_key, window_start, download_mbps, upload_mbps, ping_ms, jitter_ms
    from measured
    inner join sample_stratum
        on sample_stratum.scope = 'referral_code'
            and sample_stratum.holder = measured.referral_code
            and sample_stratum.network = measured.network
            and sample_stratum.commune_code = measured.stratum_commune
            and sample_stratum.commune_valid_from = measured.stratum_valid_from
            and sample_stratum.operator = measured.operator
            and sample_stratum.technology = measured.technology
    where measured.referral_code is not null
    union all
    select stratum_number, device_key, window_start, download_mbps, upload_mbps, ping_ms, jitter_ms
    from measured
    inner join sample_stratum
        on sample_stratum.scope = 'organisation'
            and sample_stratum.holder = measured.holder_code
            and sample_stratum.network = measured.network
            and sample_stratum.commune_code = measured.stratum_commune
            and sample_stratum.commune_valid_from = measured.stratum_valid_from
            and sample_stratum.operator = measured.operator
            and sample_stratum.technology = measured.technology
    where measured.holder_kind = 'organisation'
)
select * from test

-- grain:  one row per representative sample, within all rows ('province') and within those of a code or organisation
-- inputs: core_measurement
-- rule:   the median of one device's tests by commune, operator, technology and window
--         (speedtest.vn/phuong-phap-thong-ke: one user weighs the same however often they test)
with
scoped as (
    select 'province' as scope, '' as holder, core_measurement.*
    from core_measurement
    union all
    select 'referral_code' as scope, referral_code as holder, core_measurement.*
    from core_measurement
    where referral_code is not null
    union all
    select 'organisation' as scope, holder_code as holder, core_measurement.*
    from core_measurement
    where holder_kind = 'organisation'
),
sample as (
    select
        scope,
        holder,
        network,
        commune_code,
        commune_valid_from,
        operator,
        technology,
        device_key,
        window_start,
        count(*) as n_measurements,
        max(target_download_mbps) as target_download_mbps,
        median(download_mbps) as download_mbps,
        median(upload_mbps) as upload_mbps,
        median(ping_ms) as ping_ms,
        median(jitter_ms) as jitter_ms
    from scoped
    group by
        scope,
        holder,
        network,
        commune_code,
        commune_valid_from,
        operator,
        technology,
        device_key,
        window_start
)
select * from sample

-- grain:  one row per record of one csv in which each line is a record, in the order of the file
-- inputs: plain_text (its fields; figures typed, a missing value null); bound: what the contract declares of the file,
--         device_key
-- rule:   what staging_measurement.sql makes of a line of plain characters; of any other, is_plain is false
with
timed as (
    select
        *,
        try_strptime(measured_at, $timestamp_format) as plain_measured_at
    from plain_text
),
record as (
    select
        measurement_id,
        plain_measured_at as measured_at,
        keyed_hash($device_key, device_id) as device_hash,
        referral_code,
        province_code,
        district_code,
        district_name,
        commune_code,
        commune_name,
        operator,
        technology,
        plain_figure(download_mbps, $missing_figures) * $times.download_mbps / $per.download_mbps as download_mbps,
        plain_figure(upload_mbps, $missing_figures) * $times.upload_mbps / $per.upload_mbps as upload_mbps,
        plain_figure(ping_ms, $missing_figures) * $times.ping_ms / $per.ping_ms as ping_ms,
        plain_figure(jitter_ms, $missing_figures) * $times.jitter_ms / $per.jitter_ms as jitter_ms,
        plain_figure(packet_loss_pct, $missing_figures) * $times.packet_loss_pct / $per.packet_loss_pct as packet_loss_pct,
        plain_figure(latitude, $missing_figures) as latitude,
        plain_figure(longitude, $missing_figures) as longitude,
        plain_figure(location_accuracy_m, $missing_figures) * $times.location_accuracy_m / $per.location_accuracy_m
            as location_accuracy_m,
        os,
        device_model,
        app_version,
        -- A time in other words than strptime would write it, a figure that is no number, a data frame's mark for none.
        coalesce(strftime(plain_measured_at, $timestamp_format) = measured_at, measured_at is null)
            and coalesce(abs(download_mbps) < 1e11, true)
            and coalesce(abs(upload_mbps) < 1e11, true)
            and coalesce(abs(ping_ms) < 1e11, true)
            and coalesce(abs(jitter_ms) < 1e11, true)
            and coalesce(abs(packet_loss_pct) < 1e11, true)
            and coalesce(abs(latitude) < 1e11, true)
            and coalesce(abs(longitude) < 1e11, true)
            and coalesce(abs(location_accuracy_m) < 1e11, true)
            and coalesce(measurement_id not in ('nan', 'NaN', 'NAN'), true)
            and coalesce(device_id not in ('nan', 'NaN', 'NAN'), true)
            and coalesce(referral_code not in ('nan', 'NaN', 'NAN'), true)
            and coalesce(province_code not in ('nan', 'NaN', 'NAN'), true)
            and coalesce(district_code not in ('nan', 'NaN', 'NAN'), true)
            and coalesce(commune_code not in ('nan', 'NaN', 'NAN'), true) as is_plain
    from timed
)
select * from record

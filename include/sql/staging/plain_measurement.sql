-- grain:  one row per plain record of one csv
-- inputs: numbered_record, left_line (numbers of lines that are left to the exact reader); bound: source_file, received_at
-- rule:   as staging_measurement.sql: whose read_error it cannot have
with
staging as (
    select
        $source_file as source_file,
        row_number,
        measurement_id,
        cast(null as varchar) as measured_at_text,
        measured_at,
        device_hash,
        upper(referral_code) as referral_code,
        province_code,
        district_code,
        district_name,
        commune_code,
        commune_name,
        operator,
        technology,
        download_mbps,
        upload_mbps,
        ping_ms,
        jitter_ms,
        packet_loss_pct,
        latitude,
        longitude,
        location_accuracy_m,
        os,
        device_model,
        app_version,
        measurement_hash(
            id_hash(measurement_id),
            case
                when measurement_id is null then hash(
                    measured_at, device_hash, upper(referral_code), province_code, district_code, district_name,
                    commune_code, commune_name, operator, technology, download_mbps, upload_mbps, ping_ms, jitter_ms,
                    packet_loss_pct, latitude, longitude, location_accuracy_m, os, device_model,
                    app_version, cast(null as varchar)
                )
            end
        ) as measurement_hash,
        cast(null as varchar) as read_error,
        $received_at::timestamp as received_at
    from numbered_record
    where is_plain and row_number not in (select number from left_line)
)
select * from staging

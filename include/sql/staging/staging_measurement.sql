-- grain:  one row per record of one export file
-- inputs: source_record, the contract's value maps already in it; bound: what the contract declares of the file, device_key
-- rule:   text becomes numbers, times and codes as declared; what cannot be read is named in read_error, never guessed
with
cleaned as (
    select
        row_number,
        reject_text,
        reject_message,
        clean_text(measurement_id, $missing) as measurement_id,
        clean_text(measured_at, $missing) as measured_at_text,
        clean_text(device_id, $missing) as device_id,
        upper(nfc_normalize(clean_text(referral_code, $missing))) as referral_code,
        clean_text(province_code, $missing) as province_code,
        clean_text(district_code, $missing) as district_code,
        clean_text(district_name, $missing) as district_name,
        clean_text(commune_code, $missing) as commune_code,
        clean_text(commune_name, $missing) as commune_name,
        nfc_normalize(clean_text(operator, $missing)) as operator,
        regexp_replace(nfc_normalize(clean_text(technology, $missing)), '[\s\x{00A0}]+', ' ', 'g') as technology,
        clean_figure(download_mbps, $missing, $missing_figures, $decimal, $thousands) as download_text,
        clean_figure(upload_mbps, $missing, $missing_figures, $decimal, $thousands) as upload_text,
        clean_figure(ping_ms, $missing, $missing_figures, $decimal, $thousands) as ping_text,
        clean_figure(jitter_ms, $missing, $missing_figures, $decimal, $thousands) as jitter_text,
        clean_figure(packet_loss_pct, $missing, $missing_figures, $decimal, $thousands) as packet_loss_text,
        clean_figure(latitude, $missing, $missing_figures, $decimal, $thousands) as latitude_text,
        clean_figure(longitude, $missing, $missing_figures, $decimal, $thousands) as longitude_text,
        clean_figure(location_accuracy_m, $missing, $missing_figures, $decimal, $thousands) as accuracy_text,
        clean_text(os, $missing) as os,
        clean_text(device_model, $missing) as device_model,
        clean_text(app_version, $missing) as app_version
    from source_record
),
typed as (
    select
        *,
        case
            when regexp_full_match(measured_at_text, $timestamp_pattern)
                then timezone($local_zone, timezone($zone, try_strptime(measured_at_text, $timestamp_formats)))
        end as measured_at,
        keyed_hash($device_key, device_id) as device_hash,
        read_number(download_text, $decimal, $thousands) * $times.download_mbps / $per.download_mbps as download_mbps,
        read_number(upload_text, $decimal, $thousands) * $times.upload_mbps / $per.upload_mbps as upload_mbps,
        read_number(ping_text, $decimal, $thousands) * $times.ping_ms / $per.ping_ms as ping_ms,
        read_number(jitter_text, $decimal, $thousands) * $times.jitter_ms / $per.jitter_ms as jitter_ms,
        read_number(packet_loss_text, $decimal, $thousands) * $times.packet_loss_pct / $per.packet_loss_pct as packet_loss_pct,
        read_number(latitude_text, $decimal, $thousands) as latitude,
        read_number(longitude_text, $decimal, $thousands) as longitude,
        read_number(accuracy_text, $decimal, $thousands) * $times.location_accuracy_m / $per.location_accuracy_m as location_accuracy_m
    from cleaned
),
staging as (
    select
        $source_file as source_file,
        typed.row_number,
        measurement_id,
        case when measured_at is null then measured_at_text end as measured_at_text,
        measured_at,
        device_hash,
        referral_code,
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
        -- A time that could not be read is a text like others, and so another measurement's.
        measurement_hash(
            id_hash(measurement_id),
            case
                when measurement_id is null then hash(
                    measured_at, device_hash, referral_code, province_code, district_code, district_name,
                    commune_code, commune_name, operator, technology, download_mbps, upload_mbps, ping_ms, jitter_ms,
                    packet_loss_pct, latitude, longitude, location_accuracy_m, os, device_model,
                    app_version, case when measured_at is null then measured_at_text end
                )
            end
        ) as measurement_hash,
        coalesce(
            reject_message,
            nullif(concat_ws(
                '; ',
                case when is_lost_code(measurement_id) then 'measurement_id ' || measurement_id end,
                case when is_lost_code(device_id) then 'device_id' end,
                case when is_lost_code(referral_code) then 'referral_code ' || referral_code end,
                case when is_lost_code(province_code) then 'province_code ' || province_code end,
                case when is_lost_code(district_code) then 'district_code ' || district_code end,
                case when is_lost_code(commune_code) then 'commune_code ' || commune_code end,
                case when download_text is not null and download_mbps is null then 'download_mbps ' || download_text end,
                case when upload_text is not null and upload_mbps is null then 'upload_mbps ' || upload_text end,
                case when ping_text is not null and ping_ms is null then 'ping_ms ' || ping_text end,
                case when jitter_text is not null and jitter_ms is null then 'jitter_ms ' || jitter_text end,
                case
                    when packet_loss_text is not null and packet_loss_pct is null
                        then 'packet_loss_pct ' || packet_loss_text
                end,
                case when latitude_text is not null and latitude is null then 'latitude ' || latitude_text end,
                case when longitude_text is not null and longitude is null then 'longitude ' || longitude_text end,
                case
                    when accuracy_text is not null and location_accuracy_m is null
                        then 'location_accuracy_m ' || accuracy_text
                end
            ), '')
        ) as read_error,
        $received_at::timestamp as received_at
    from typed
)
select * from staging

-- grain:  one row per accepted measurement
-- inputs: params, staging_measurement, quarantine_measurement, commune, place_match, operator_match, referral_code, technology_policy
-- rule:   joined to communes, operators and referral codes as they were on the day of the measurement
with
accepted as (
    select staging_measurement.*, cast(measured_at as date) as measured_on
    from staging_measurement
    where not exists (
        select 1
        from quarantine_measurement
        where quarantine_measurement.source_file = staging_measurement.source_file
            and quarantine_measurement.row_number = staging_measurement.row_number
    )
),
located as (
    select
        accepted.*,
        coalesce(by_code.commune_code, place_match.found_commune_code) as found_commune_code,
        coalesce(by_code.valid_from, place_match.found_valid_from) as commune_valid_from,
        coalesce(by_code.province_code, place_match.found_province_code) as found_province_code
    from accepted
    left join commune as by_code
        on by_code.commune_code = accepted.commune_code
            and accepted.measured_on between by_code.valid_from and by_code.valid_to
    left join place_match
        on by_code.commune_code is null
            and place_match.province_code = coalesce(accepted.province_code, '')
            and place_match.district_code = coalesce(accepted.district_code, '')
            and place_match.district_name = coalesce(accepted.district_name, '')
            and place_match.commune_name = accepted.commune_name
            and accepted.measured_on between place_match.first_day and place_match.last_day
),
promoted as (
    select
        located.*,
        case when held.referral_code is not null then held.holder_kind end as holder_kind,
        case when held.referral_code is not null then held.holder_code end as holder_code,
        case
            when located.referral_code is null then null
            when held.referral_code is not null then 'valid'
            when located.referral_code in (select referral_code from referral_code) then 'expired'
            else 'unknown'
        end as referral_code_status
    from located
    left join referral_code as held
        on held.referral_code = located.referral_code
            and located.measured_on between held.valid_from and held.valid_to
),
core as (
    select
        promoted.source_file,
        promoted.row_number,
        promoted.measurement_id,
        promoted.measured_at,
        promoted.measured_on,
        case params.sample_window
            when 'hour' then date_trunc('hour', promoted.measured_at)
            when '4h'
                then date_trunc('day', promoted.measured_at)
                    + interval '4' hour * cast(floor(extract(hour from promoted.measured_at) / 4) as int)
            when 'month' then date_trunc('month', promoted.measured_at)
            else date_trunc('day', promoted.measured_at)
        end as window_start,
        promoted.device_hash,
        coalesce(
            promoted.device_hash, promoted.source_file || ':' || cast(promoted.row_number as varchar(20))
        ) as device_key,
        promoted.referral_code,
        promoted.referral_code_status,
        promoted.holder_kind,
        promoted.holder_code,
        coalesce(promoted.province_code, promoted.found_province_code) as province_code,
        promoted.found_commune_code as commune_code,
        promoted.commune_valid_from,
        coalesce(operator_match.brand, 'unknown') as operator,
        operator_match.host_network,
        technology_policy.network,
        promoted.technology,
        technology_policy.target_download_mbps,
        promoted.download_mbps,
        promoted.upload_mbps,
        promoted.ping_ms,
        promoted.jitter_ms,
        promoted.packet_loss_pct,
        promoted.latitude,
        promoted.longitude,
        promoted.location_accuracy_m
    from promoted
    cross join params
    left join operator_match
        on operator_match.operator = promoted.operator
            and promoted.measured_on between operator_match.first_day and operator_match.last_day
    left join technology_policy on technology_policy.technology = promoted.technology
)
select * from core

-- grain:  one row per accepted measurement
-- inputs: params, staging_measurement, quarantine_measurement, commune, place_match, location_match, complete_map,
--         operator_match, referral_code, technology_policy
-- rule:   joined to communes, operators and referral codes as they were on the day of the measurement; it counts for
--         the commune as declared, and for the one where its coordinates lie only where none is declared
with
file as (
    select source_file, row_number() over (order by source_file) as file_number
    from (select distinct source_file from staging_measurement) as named
),
measured_day as (
    select distinct cast(measured_at as date) as measured_on from staging_measurement
),
-- By day: rows beside spans of days would be compared one by one.
complete_day as (
    select distinct measured_day.measured_on
    from measured_day
    inner join complete_map on measured_day.measured_on between complete_map.first_day and complete_map.last_day
),
accepted as (
    select
        staging_measurement.*,
        cast(measured_at as date) as measured_on,
        latitude is not null
            and longitude is not null
            and coalesce(location_accuracy_m, 0) <= params.location_accuracy_max_m as is_locatable
    from staging_measurement
    cross join params
    where not exists (
        select 1
        from quarantine_measurement
        where quarantine_measurement.source_file = staging_measurement.source_file
            and quarantine_measurement.row_number = staging_measurement.row_number
    )
),
-- What is looked for is null where nothing need be: equal keys alone make a quick join.
coded as (
    select
        accepted.*,
        by_code.commune_code as code_commune_code,
        by_code.valid_from as code_valid_from,
        by_code.province_code as code_province_code,
        case when by_code.commune_code is null then accepted.commune_name end as sought_name,
        coalesce(accepted.province_code, '') as sought_province_code,
        coalesce(accepted.district_code, '') as sought_district_code,
        coalesce(accepted.district_name, '') as sought_district_name,
        case when accepted.is_locatable then accepted.latitude end as sought_latitude,
        case when accepted.is_locatable then accepted.longitude end as sought_longitude
    from accepted
    left join commune as by_code
        on by_code.commune_code = accepted.commune_code
            and accepted.measured_on between by_code.valid_from and by_code.valid_to
),
declared as (
    select
        coded.*,
        coalesce(coded.code_commune_code, place_match.found_commune_code) as declared_commune_code,
        coalesce(coded.code_valid_from, place_match.found_valid_from) as declared_valid_from,
        coalesce(coded.code_province_code, place_match.found_province_code) as declared_province_code
    from coded
    left join place_match
        on place_match.commune_name = coded.sought_name
            and place_match.province_code = coded.sought_province_code
            and place_match.district_code = coded.sought_district_code
            and place_match.district_name = coded.sought_district_name
            and coded.measured_on between place_match.first_day and place_match.last_day
),
located as (
    select
        declared.*,
        location_match.commune_code as located_commune_code,
        location_match.commune_valid_from as located_valid_from,
        found.province_code as located_province_code,
        declared.is_locatable
            and complete_day.measured_on is not null
            and location_match.first_day is null as is_outside_boundaries
    from declared
    left join location_match
        on location_match.latitude = declared.sought_latitude
            and location_match.longitude = declared.sought_longitude
            and declared.measured_on between location_match.first_day and location_match.last_day
    left join complete_day on complete_day.measured_on = declared.measured_on
    left join commune as found
        on found.commune_code = location_match.commune_code
            and found.valid_from = location_match.commune_valid_from
),
-- A row that names another province is not brought into this one by its coordinates.
placed as (
    select
        *,
        declared_commune_code is null
            and located_commune_code is not null
            and coalesce(province_code, located_province_code) = located_province_code as is_placed_by_location
    from located
),
promoted as (
    select
        placed.*,
        case when held.referral_code is not null then held.holder_kind end as holder_kind,
        case when held.referral_code is not null then held.holder_code end as holder_code,
        case
            when placed.referral_code is null then null
            when held.referral_code is not null then 'valid'
            when placed.referral_code in (select referral_code from referral_code) then 'expired'
            else 'unknown'
        end as referral_code_status
    from placed
    left join referral_code as held
        on held.referral_code = placed.referral_code
            and placed.measured_on between held.valid_from and held.valid_to
),
core as (
    select
        promoted.source_file,
        promoted.row_number,
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
        -- A row without a device is one of its own; the hash of a device is never negative.
        coalesce(promoted.device_hash, -(file.file_number * 10000000000 + promoted.row_number)) as device_key,
        promoted.referral_code,
        promoted.referral_code_status,
        promoted.holder_kind,
        promoted.holder_code,
        coalesce(
            promoted.province_code,
            promoted.declared_province_code,
            case when promoted.is_placed_by_location then promoted.located_province_code end
        ) as province_code,
        case
            when promoted.is_placed_by_location then promoted.located_commune_code
            else promoted.declared_commune_code
        end as commune_code,
        case
            when promoted.is_placed_by_location then promoted.located_valid_from
            else promoted.declared_valid_from
        end as commune_valid_from,
        promoted.declared_commune_code,
        promoted.located_commune_code,
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
        promoted.location_accuracy_m,
        promoted.is_locatable,
        promoted.is_outside_boundaries
    from promoted
    inner join file on file.source_file = promoted.source_file
    cross join params
    left join operator_match
        on operator_match.operator = promoted.operator
            and promoted.measured_on between operator_match.first_day and operator_match.last_day
    left join technology_policy on technology_policy.technology = promoted.technology
),
-- Samples are taken by stratum, code and organisation: as numbers, which are the month's own.
commune_number as (
    select commune_code, valid_from, row_number() over (order by commune_code, valid_from) as number from commune
),
brand_number as (
    select brand, row_number() over (order by brand) as number
    from (select distinct brand from operator_match) as met
),
technology_number as (
    select technology, row_number() over (order by technology) as number from technology_policy
),
code_number as (
    select referral_code, row_number() over (order by referral_code) as number
    from (select distinct referral_code from staging_measurement where referral_code is not null) as met
),
organisation_number as (
    select holder_code, row_number() over (order by holder_code) as number
    from (select distinct holder_code from referral_code where holder_kind = 'organisation') as held
),
numbered as (
    select
        core.*,
        cast(coalesce(commune_number.number, 0) as bigint) * 1000000
            + coalesce(brand_number.number, 0) * 100
            + coalesce(technology_number.number, 0) as stratum_number,
        cast(code_number.number as bigint) as code_number,
        cast(organisation_number.number as bigint) as organisation_number
    from core
    left join commune_number
        on commune_number.commune_code = core.commune_code and commune_number.valid_from = core.commune_valid_from
    left join brand_number on brand_number.brand = core.operator
    left join technology_number on technology_number.technology = core.technology
    left join code_number on code_number.referral_code = core.referral_code
    left join organisation_number
        on organisation_number.holder_code = case when core.holder_kind = 'organisation' then core.holder_code end
)
select * from numbered

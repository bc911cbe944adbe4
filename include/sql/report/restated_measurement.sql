-- grain:  one row per accepted measurement of a commune that is of the province, then or on the map of map_day
-- inputs: params, core_measurement, commune, unit_candidate (the units on that map in which a commune of a day may lie),
--         location_match (on that map)
-- rule:   one candidate: that unit; several: the one where the coordinates lie, else not attributable to any
with
candidate as (
    select unit_candidate.*, commune.province_code
    from unit_candidate
    left join commune
        on commune.commune_code = unit_candidate.candidate_code
            and commune.valid_from = unit_candidate.candidate_valid_from
),
counted as (
    select
        commune_code,
        commune_valid_from,
        measured_on,
        count(*) as n_candidates,
        max(case when candidate.province_code = params.province_code then 1 else 0 end) as is_ours_on_map
    from candidate
    cross join params
    group by commune_code, commune_valid_from, measured_on
),
measured as (
    select
        core_measurement.*,
        origin.full_name as origin_name,
        origin.district_name as origin_district_name,
        origin.province_code as origin_province_code,
        counted.n_candidates,
        location_match.commune_code as map_commune_code
    from core_measurement
    cross join params
    inner join commune as origin
        on origin.commune_code = core_measurement.commune_code
            and origin.valid_from = core_measurement.commune_valid_from
    inner join counted
        on counted.commune_code = core_measurement.commune_code
            and counted.commune_valid_from = core_measurement.commune_valid_from
            and counted.measured_on = core_measurement.measured_on
    left join location_match
        on core_measurement.is_locatable
            and location_match.latitude = core_measurement.latitude
            and location_match.longitude = core_measurement.longitude
    where origin.province_code = params.province_code or counted.is_ours_on_map = 1
),
found as (
    select
        measured.*,
        candidate.candidate_code,
        candidate.candidate_valid_from,
        case
            when candidate.province_code <> params.province_code then 'other_province'
            when candidate.candidate_code is not null and measured.n_candidates = 1 then 'whole'
            when candidate.candidate_code is not null then 'coordinates'
            when measured.n_candidates = 1 then 'no_succession'
            when measured.map_commune_code is not null then 'located_elsewhere'
            else 'no_location'
        end as attribution
    from measured
    cross join params
    left join candidate
        on candidate.commune_code = measured.commune_code
            and candidate.commune_valid_from = measured.commune_valid_from
            and candidate.measured_on = measured.measured_on
            and (measured.n_candidates = 1 or candidate.candidate_code = measured.map_commune_code)
),
commune_number as (
    select commune_code, valid_from, row_number() over (order by commune_code, valid_from) as number from commune
),
restated as (
    select
        source_file,
        row_number,
        network,
        measured_on,
        window_start,
        device_key,
        operator,
        host_network,
        technology,
        target_download_mbps,
        download_mbps,
        upload_mbps,
        ping_ms,
        jitter_ms,
        found.commune_code as origin_code,
        origin_name,
        origin_district_name,
        origin_province_code,
        attribution,
        case
            when attribution in ('whole', 'coordinates') then candidate_code
            else 'not_attributable'
        end as commune_code,
        case
            when attribution in ('whole', 'coordinates') then candidate_valid_from
            else cast('0001-01-01' as date)
        end as commune_valid_from,
        -- A restated month tells of communes only.
        cast(null as varchar(20)) as referral_code,
        cast(null as varchar(20)) as holder_kind,
        cast(null as varchar(20)) as holder_code,
        case when attribution in ('whole', 'coordinates') then cast(commune_number.number as bigint) else 0 end * 1000000
            + stratum_number % 1000000 as stratum_number,
        cast(null as bigint) as code_number,
        cast(null as bigint) as organisation_number
    from found
    left join commune_number
        on commune_number.commune_code = found.candidate_code and commune_number.valid_from = found.candidate_valid_from
)
select * from restated

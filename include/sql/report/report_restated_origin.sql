-- grain:  one row per network, commune as of the day of measuring, attribution and commune on the map of map_day
-- inputs: params, map_day, month_commune (made by map_commune.sql), core_measurement (made by restated_measurement.sql)
-- rule:   every restated measurement stands in one row
with
counted as (
    select
        network,
        origin_code,
        origin_name,
        origin_district_name,
        origin_province_code,
        attribution,
        commune_code,
        count(*) as n_measurements
    from core_measurement
    group by
        network, origin_code, origin_name, origin_district_name, origin_province_code, attribution, commune_code
),
report as (
    select
        params.first_day as month,
        map_day.boundaries_day,
        counted.*,
        month_commune.full_name as commune_name
    from counted
    inner join month_commune on month_commune.commune_code = counted.commune_code
    cross join params
    cross join map_day
)
select * from report

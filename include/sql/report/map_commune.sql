-- grain:  one row per commune of the province that is valid on the day of the map, and one for what belongs to none
-- inputs: params, map_day, commune
-- rule:   stands in for month_commune where a month is restated
with
map_commune as (
    select
        commune.commune_code,
        commune.commune_name,
        commune.kind,
        commune.district_code,
        commune.district_name,
        commune.full_name,
        commune.valid_from
    from commune
    cross join params
    cross join map_day
    where commune.province_code = params.province_code
        and map_day.boundaries_day between commune.valid_from and commune.valid_to
    union all
    select
        'not_attributable' as commune_code,
        'Không phân bổ được' as commune_name,
        cast(null as varchar(20)) as kind,
        cast(null as varchar(20)) as district_code,
        cast(null as varchar(20)) as district_name,
        'Không phân bổ được' as full_name,
        cast('0001-01-01' as date) as valid_from
    from params
)
select * from map_commune

-- grain:  one row per organisation valid on any day of the month
-- inputs: params, organisation
-- rule:   its name and headcount as of its latest validity up to the month's end
with
valid as (
    select
        organisation.*,
        row_number() over (partition by organisation.organisation_code order by organisation.valid_from desc) as place
    from organisation
    cross join params
    where organisation.valid_from <= params.last_day and organisation.valid_to >= params.first_day
),
month_organisation as (
    select * from valid where place = 1
)
select * from month_organisation

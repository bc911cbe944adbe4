-- grain:  one row per body that is asked for a return, in a month that any return came in
-- inputs: params, asked_body, arrived_return, core_measurement
-- rule:   what the body reported, and beside it the mobile measurements and devices of the codes that it holds
with
promoted as (
    select
        holder_kind,
        holder_code,
        count(*) as n_measurements,
        count(distinct device_key) as n_devices
    from core_measurement
    where network = 'mobile' and holder_code is not null
    group by holder_kind, holder_code
),
report as (
    select
        params.first_day as month,
        asked_body.organisation_code,
        asked_body.organisation_name,
        asked_body.organisation_kind,
        case
            when arrived_return.organisation_code is null then 'missing'
            when arrived_return.is_late then 'late'
            else 'returned'
        end as state,
        arrived_return.headcount,
        arrived_return.n_installed,
        arrived_return.n_measured,
        case
            when arrived_return.headcount > 0 then cast(arrived_return.n_installed as double) / arrived_return.headcount
        end as installed_share,
        case
            when arrived_return.headcount > 0 then cast(arrived_return.n_measured as double) / arrived_return.headcount
        end as measured_share,
        asked_body.registry_headcount,
        coalesce(promoted.n_measurements, 0) as n_measurements,
        coalesce(promoted.n_devices, 0) as n_devices,
        arrived_return.submitted_at,
        arrived_return.is_late,
        arrived_return.source_file
    from asked_body
    cross join params
    left join arrived_return on arrived_return.organisation_code = asked_body.organisation_code
    left join promoted
        on promoted.holder_code = asked_body.organisation_code
            and (promoted.holder_kind = 'commune') = (asked_body.organisation_kind = 'commune')
)
select * from report

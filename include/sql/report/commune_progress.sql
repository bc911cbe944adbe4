-- grain:  one row per network and commune that was measured in the month
-- inputs: params, core_measurement, month_commune
-- rule:   the pace runs from the month's first day to the last day that anyone in the province measured; the day of the
--         300th measurement, or where it was not reached the day on which this pace would reach it
with
horizon as (
    select extract(day from max(measured_on)) as n_days from core_measurement
),
daily as (
    select core_measurement.network, core_measurement.commune_code, measured_on, count(*) as n_measurements
    from core_measurement
    inner join month_commune
        on month_commune.commune_code = core_measurement.commune_code
            and month_commune.valid_from = core_measurement.commune_valid_from
    group by core_measurement.network, core_measurement.commune_code, measured_on
),
running as (
    select
        daily.*,
        sum(n_measurements) over (partition by network, commune_code order by measured_on) as n_so_far
    from daily
),
total as (
    select
        running.network,
        running.commune_code,
        sum(running.n_measurements) as n_measurements,
        min(case when running.n_so_far >= params.assess_minimum then running.measured_on end) as reached_on
    from running
    cross join params
    group by running.network, running.commune_code
),
progress as (
    select
        total.network,
        total.commune_code,
        cast(round(
            cast(cast(total.n_measurements as double) / horizon.n_days as decimal(18, 6)), 2
        ) as double) as n_measurements_per_day,
        coalesce(
            total.reached_on,
            params.first_day + cast(
                ceil(cast(params.assess_minimum * horizon.n_days as double) / total.n_measurements) - 1 as int
            )
        ) as assess_day
    from total
    cross join horizon
    cross join params
)
select * from progress

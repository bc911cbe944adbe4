-- grain:  one row per representative sample of more than one test
-- inputs: sample_test
-- rule:   most devices test once in a window: only these few need a median
with
repeated as (
    select stratum_number, device_key, window_start, count(*) as n_measurements
    from sample_test
    group by stratum_number, device_key, window_start
    having count(*) > 1
)
select * from repeated

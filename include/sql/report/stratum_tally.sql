-- grain:  one row per stratum
-- inputs: core_sample, sample_stratum
-- rule:   its tests and representative samples, and those at or above the technology's target where it has one
with
tally as (
    select
        core_sample.stratum_number,
        cast(sum(core_sample.n_measurements) as bigint) as n_measurements,
        count(*) as n_samples,
        count(sample_stratum.target_download_mbps) as n_with_target,
        count(case when core_sample.download_mbps >= sample_stratum.target_download_mbps then 1 end) as n_at_target
    from core_sample
    inner join sample_stratum on sample_stratum.stratum_number = core_sample.stratum_number
    group by core_sample.stratum_number
)
select * from tally

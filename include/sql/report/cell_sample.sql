-- grain:  one row per cell of one kind and representative sample in it
-- inputs: asked_cell (the kind), core_sample, cell_stratum
-- rule:   a cell has the samples of its strata
with
cell_sample as (
    select
        cell_stratum.cell_number,
        core_sample.device_key,
        core_sample.download_mbps,
        core_sample.upload_mbps,
        core_sample.ping_ms,
        core_sample.jitter_ms
    from core_sample
    inner join cell_stratum on cell_stratum.stratum_number = core_sample.stratum_number
    inner join asked_cell on asked_cell.cell = cell_stratum.cell
)
select * from cell_sample

-- grain:  one row per record of one csv in which each line is a record
-- inputs: plain_record (with its place in the file, 0 the first), line_block
-- rule:   its number is that of its line: its place, the header, and the lines before it that are no records here
with
numbered as (
    select
        plain_record.* exclude (file_row_number),
        file_row_number
            + 2
            + n_before
            + coalesce(len(list_filter(places, lambda place: place <= file_row_number)), 0) as row_number
    from plain_record
    inner join line_block on line_block.block = file_row_number >> 6
)
select * from numbered

-- How a contract's texts are read; staging alone uses these, on DuckDB, where the files are parsed.
-- Control characters have no place in a text, and PostgreSQL and Excel refuse some of them.
create or replace macro clean_text(raw, missing) as
    case
        when list_contains(missing, trim(regexp_replace(raw, '[\x00-\x08\x0B\x0C\x0E-\x1F]', '', 'g'), chr(9) || chr(10) || chr(13) || ' ' || chr(160))) then null
        else nullif(trim(regexp_replace(raw, '[\x00-\x08\x0B\x0C\x0E-\x1F]', '', 'g'), chr(9) || chr(10) || chr(13) || ' ' || chr(160)), '')
    end;

-- What Excel makes of a long code that it took for a number; its digits are lost.
create or replace macro is_excel_number(code) as regexp_full_match(code, '[0-9](\.[0-9]+)?[eE]\+[0-9]+');

-- A number with the declared marks only: 1.234,5 is nothing but an error where thousands were not declared. Where they were,
-- they part groups of three, whole ones only: 1.5 would else be 15.
create or replace macro read_number(raw, decimal_mark, thousands_mark) as
    case
        when thousands_mark <> '' and contains(raw, thousands_mark) and not regexp_full_match(
            replace(replace(raw, decimal_mark, 'd'), thousands_mark, 't'), '[+-]?[0-9]{1,3}(t[0-9]{3})+(d[0-9]*)?'
        ) then null
        when decimal_mark <> '.' and contains(replace(raw, thousands_mark, ''), '.') then null
        when not regexp_full_match(
            replace(replace(raw, thousands_mark, ''), decimal_mark, '.'), '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?'
        ) then null
        -- Beyond 1e11 a figure is no measurement, and would not fit the decimals that reports are rounded in.
        when abs(try_cast(replace(replace(raw, thousands_mark, ''), decimal_mark, '.') as double)) < 1e11
            then try_cast(replace(replace(raw, thousands_mark, ''), decimal_mark, '.') as double)
    end;

-- The text of a figure; a number that is declared to mean "missing" is one however it is written.
create or replace macro clean_figure(raw, missing, missing_figures, decimal_mark, thousands_mark) as
    case
        when len(missing_figures) > 0 and list_contains(
            cast(missing_figures as double[]), read_number(clean_text(raw, missing), decimal_mark, thousands_mark)
        ) then null
        else clean_text(raw, missing)
    end;

-- A number that is kept as one, as the contract would have it written: with its decimal mark, and whole ones without.
create or replace macro float_text(figure, decimal_mark) as
    replace(regexp_replace(cast(figure as varchar), '\.0+$', ''), '.', decimal_mark);

-- A field of a JSON object; null where it is null or not there.
create or replace macro json_field(record, pointer, decimal_mark) as
    case
        when json_type(record, pointer) in ('DOUBLE', 'UBIGINT', 'BIGINT', 'HUGEINT')
            then float_text(json_extract_string(record, pointer), decimal_mark)
        else json_extract_string(record, pointer)
    end;

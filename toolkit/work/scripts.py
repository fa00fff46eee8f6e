"""What happens to a task in hand inside Redis: each step in one script, which no crash can cut in two."""

from __future__ import annotations

from toolkit.work.layout import COMMON

TAKE = (
    COMMON
    + """
-- consumer, count, most (above count, for a parcel that is not worth opening), stale_ms (0: do not look for
-- tasks of dead workers)
-- returns now, ms until the next delayed task is due (-1: none), and {stream, deliveries, entries}...
local consumer, count, stale_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local slack = tonumber(ARGV[3]) - count
local now = now_ms()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100)) do
    local level_and_fields = cmsgpack.unpack(redis.call('HGET', delayed_tasks, id))
    put(level_and_fields[1], 0, level_and_fields[2], id)
    redis.call('HDEL', delayed_tasks, id)
    redis.call('ZREM', delayed, id)
end
local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
local wait_ms = next_due and math.max(next_due - now, 1) or -1

-- The parts of a dead worker's parcel that it had not finished are held in its name, as single tasks.
local function orphan(level, parcel_id, fields, holder, deliveries)
    for part, single in ipairs(singles(as_table(fields))) do
        if redis.call('SISMEMBER', parts_key(level, parcel_id), part) == 0 then
            redis.call('XADD', orphans, '*', 'l', level, unpack(single))
            -- Read at once, here as ever: what has just been added is all there is to read.
            local id = redis.call('XREADGROUP', 'GROUP', group, holder, 'STREAMS', orphans, '>')[1][2][1][1]
            redis.call('XCLAIM', orphans, group, holder, 0, id, 'IDLE', stale_ms, 'RETRYCOUNT', deliveries)
        end
    end
    remove(level, parcel_id)
end

-- A task that outlived its worker travels alone: what killed one worker must not take neighbours along again.
local function take_stale(number)
    for _, stale in ipairs(redis.call('XPENDING', streams[number], group, 'IDLE', stale_ms, '-', '+', 1)) do
        local id, holder, deliveries = stale[1], stale[2], stale[4]
        local entry = redis.call('XRANGE', streams[number], id, id)[1]
        if not entry then
            remove(number, id)
        elseif as_table(entry[2]).m then
            orphan(number, id, entry[2], holder, deliveries)
        else
            redis.call('XCLAIM', streams[number], group, consumer, stale_ms, id)
            redis.call('HINCRBY', stats, 'taken_over', 1)
            return {number, deliveries + 1, {entry}}
        end
    end
end

if stale_ms > 0 then
    for number = 1, #streams do
        local row = take_stale(number)
        if row then return {now, wait_ms, {row}} end
    end
end

local taken = {}
-- A tenth of the work of reading, and most streams are empty.
local function has_entries(number) return redis.call('XLEN', streams[number]) > 0 end
local function read(number, most)
    local command = {'XREADGROUP', 'GROUP', group, consumer, 'COUNT', most, 'STREAMS', streams[number], '>'}
    local new = redis.call(unpack(command))
    return new and new[1][2] or {}
end
local function read_singles(number)
    local entries = count > 0 and read(number, count) or {}
    if #entries > 0 then taken[#taken + 1] = {number, 1, entries} end
    count = count - #entries
end

for level = 1, 3 do
    if has_entries(level + 3) then read_singles(level + 3) end
    -- As many entries as tasks: there is no parcel among them.
    if count > 1 and has_entries(level) and waiting_as_put(level) == waiting_entries(streams[level]) then
        read_singles(level)
    end
    while count > 0 and has_entries(level) do
        local entry = read(level, 1)[1]
        if not entry then break end
        local number = tonumber(as_table(entry[2]).n) or 1
        if number > count + slack then
            open(level, entry[1], entry[2])
            read_singles(level + 3)
        else
            taken[#taken + 1] = {level, 1, {entry}}
            count = count - number
        end
    end
end
return {now, wait_ms, taken}
"""
)

OPEN = (
    COMMON
    + """
-- (stream, entry id)...: what is in hand and was more than wanted; others take it in its old order
for at = 1, #ARGV, 2 do
    local number, id = tonumber(ARGV[at]), ARGV[at + 1]
    local entry = redis.call('XRANGE', streams[number], id, id)[1]
    if entry then open(number, id, entry[2]) end
end
"""
)

FINISH = (
    COMMON
    + """
-- expire_ms, kept_dead, kept_dead_bytes, then per entry and outcome (stream, entry id, number of its parts,
-- number of those that are told, outcome, result key, error, traceback, packed {task id, place, ...} or ""
-- where no body lies apart, packed {part, ...}, packed {result, ...} or "" where nobody waits for them,
-- slots for mark_runs() or "" where not all that lies apart is in shared memory)...
-- A result is stored by whoever finishes first; the second result is let go.

local function bury(number, id, part, error, traceback)
    local entry = redis.call('XRANGE', streams[number], id, id)[1]
    local task = entry and as_table(entry[2])
    local fields = task and singles(task)[task.m and tonumber(part) or 1]
    if fields then
        keep_dead_body(fields)
        fields = with(with(with(fields, 'l', level_of(number, task)), 'e', error), 't', traceback)
        redis.call('XADD', dead, '*', unpack(fields))
    end
end

local count, finished, results = {}, {}, {}
local function add(lists, name, value)
    local list = lists[name] or {}
    lists[name] = list
    list[#list + 1] = value
end
local function add_results(result_key, packed)
    if packed ~= '' then
        add(results, result_key, 'r')
        add(results, result_key, packed)
    end
end
local function add_number(outcome, number)
    count[outcome] = (count[outcome] or 0) + number
end

-- Whether a whole entry could be finished in one go, with nothing unpacked: nearly all are.
local function finish_whole(at, number, id, total)
    if tonumber(ARGV[at + 3]) < total or ARGV[at + 4] == 'failed' then return false end
    if total > 1 and redis.call('EXISTS', parts_key(number, id)) == 1 then return false end
    if redis.call('XACK', streams[number], group, id) == 0 then
        add_number('late', total)
        return true
    end
    if ARGV[at + 11] ~= '' then
        mark_runs(ARGV[at + 11], 0)
    elseif ARGV[at + 8] ~= '' then
        local bodies = cmsgpack.unpack(ARGV[at + 8])
        for place = 1, #bodies, 2 do forget_body(bodies[place], bodies[place + 1]) end
    end
    add_results(ARGV[at + 5], ARGV[at + 10])
    add_number(ARGV[at + 4], total)
    add(finished, number, id)
    return true
end

local function finish_parts(at, number, id, total)
    local outcome = ARGV[at + 4]
    local numbers = cmsgpack.unpack(ARGV[at + 9])
    local bodies = ARGV[at + 8] ~= '' and cmsgpack.unpack(ARGV[at + 8])
    local values = ARGV[at + 10] ~= '' and cmsgpack.unpack(ARGV[at + 10])
    local parts, kept = {}, {}
    for place, part in ipairs(numbers) do parts[place] = {part, place} end
    local first, is_over = settle(number, id, parts, total)
    for _, part in ipairs(first) do
        local place = part[2]
        if outcome == 'failed' then
            bury(number, id, part[1], ARGV[at + 6], ARGV[at + 7])
        elseif bodies then
            forget_body(bodies[2 * place - 1], bodies[2 * place])
        end
        if values then kept[#kept + 1] = values[place] end
    end
    if #kept > 0 then add_results(ARGV[at + 5], cmsgpack.pack(kept)) end
    if is_over then add(finished, number, id) end
    add_number(outcome, #first)
    add_number('late', #parts - #first)
end

for at = 4, #ARGV, 12 do
    local number, id, total = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
    if not finish_whole(at, number, id, total) then finish_parts(at, number, id, total) end
end
local function is_too_much()
    local letters = redis.call('XLEN', dead)
    local bytes = tonumber(redis.call('HGET', totals, 'dead') or 0)
    -- The newest one stays, however big it is.
    return letters > tonumber(ARGV[2]) or letters > 1 and bytes > tonumber(ARGV[3])
end
while count['failed'] and is_too_much() do
    local oldest = redis.call('XRANGE', dead, '-', '+', 'COUNT', 1)[1]
    local task = as_table(oldest[2])
    remove_dead(oldest[1], task)
    forget(task)
end
-- In bulk too: the calls of a script cost more than the work they do.
set_marks()
for number, ids in pairs(finished) do
    -- Lua hands over at most some thousands at once.
    for at = 1, #ids, 1000 do
        local last = math.min(at + 999, #ids)
        redis.call('XDEL', streams[number], unpack(ids, at, last))
        for place = at, last do ids[place] = parts_key(number, ids[place]) end
        redis.call('UNLINK', unpack(ids, at, last))
    end
end
for result_key, fields in pairs(results) do
    redis.call('XADD', result_key, '*', unpack(fields))
    redis.call('PEXPIRE', result_key, ARGV[1])
end
for outcome, number in pairs(count) do
    if number > 0 then redis.call('HINCRBY', stats, outcome, number) end
end
return count['late'] or 0
"""
)

PUT_BACK = (
    COMMON
    + """
-- "retried" or "", then (stream, entry id, number of its parts, part, delay_ms, attempts)...
-- What was not tried is the next of its priority again, and what was tried the last.
local is_retry, moved, known = ARGV[1] ~= '', 0, {}
for at = 2, #ARGV, 6 do
    local number, id, part = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 3]
    local key = parts_key(number, id)
    local entry = known[key] or redis.call('XRANGE', streams[number], id, id)[1]
    local first, is_over = settle(number, id, {{part}}, tonumber(ARGV[at + 2]))
    if entry and #first > 0 then
        local task = as_table(entry[2])
        known[key] = entry
        local fields = singles(task)[task.m and tonumber(part) or 1]
        if fields then
            local level, delay_ms = level_of(number, task), tonumber(ARGV[at + 4])
            with(fields, 'a', ARGV[at + 5])
            if is_retry or delay_ms > 0 then
                put(level, delay_ms, fields, as_table(fields).i)
            else
                add_opened(level, fields, task.w or id)
            end
            moved = moved + 1
        end
    end
    if is_over then remove(number, id) end
end
if moved > 0 and is_retry then redis.call('HINCRBY', stats, ARGV[1], moved) end
return moved
"""
)

RENEW = (
    COMMON
    + """
-- consumer, then (stream, entry id, tasks held of it)...; returns how many tasks are another worker's by now
local lost = 0
for at = 2, #ARGV, 3 do
    local stream, id = streams[tonumber(ARGV[at])], ARGV[at + 1]
    if #redis.call('XPENDING', stream, group, id, id, 1, ARGV[1]) == 1 then
        redis.call('XCLAIM', stream, group, ARGV[1], 0, id, 'JUSTID')
    else
        lost = lost + ARGV[at + 2]
    end
end
return lost
"""
)

MAKE_GROUPS = (
    COMMON
    + """
-- pcall, because the groups that exist already are right.
for _, stream in ipairs(streams) do redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM') end
"""
)

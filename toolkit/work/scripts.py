"""What happens to a task inside Redis: each step one script, so no crash can fall between its parts.

The keys of a queue, all built from its name by :func:`keys_of`:

- ``tasks:high``, ``tasks:normal``, ``tasks:low``: streams, one per priority, read by the consumer group
  :data:`GROUP`. What is in hand is pending in the group; what is finished is deleted. An entry is one task:
  ``i`` task id, ``r`` key of the result list ("" for none), ``b`` the encoded task ("" when it lies apart),
  where there is one ``x`` its deadline (ms of Redis's clock) and ``a`` the attempts made before this entry.
  Or it is a parcel of small tasks: ``m`` their ids and encoded tasks in turn, in msgpack, ``n`` how many, and
  ``r`` and ``x`` for all. Moving a parcel costs Redis as much as moving one task.
  ``c`` counts the tasks put into this stream before.
- ``parts:<stream>:<entry id>``: set of the parts of a parcel in hand that are finished; it goes with it.
- ``opened:high``, ``opened:normal``, ``opened:low``: streams of single tasks, taken before those above: from
  parcels of which somebody wanted less. ``w`` is when the task was put (ms).
- ``orphans``: stream of single tasks, ``l`` their level: the unfinished parts of parcels whose holder died.
- ``delayed``: sorted set of task ids by due time, their entries packed in the hash ``delayed:tasks``.
- ``dead``: stream of the newest :data:`KEPT_DEAD` tasks that failed for good, with ``l`` level, ``e`` error
  and ``t`` traceback.
- ``stats``: hash of counters by outcome; ``totals``: how many tasks were ever put, by level.
- ``body:<task id>``: the encoded task where it is big, and not in a file (:mod:`toolkit.work.bodies`).

Redis's own clock is the only clock, so hosts need not agree on the time.
"""

from __future__ import annotations

GROUP = "workers"
LEVELS = ("high", "normal", "low")
STREAMS = [*(f"tasks:{level}" for level in LEVELS), *(f"opened:{level}" for level in LEVELS), "orphans"]
KEPT_DEAD = 1000
DEAD_KEY, BODY_KEY = len(STREAMS) + 2, len(STREAMS) + 6
"""Places in :func:`keys_of` that are used outside the scripts."""

COMMON = """
redis.replicate_commands()
-- Streams by number: 1 to 3 as put, 4 to 6 opened, by level; 7 orphans.
local streams = {unpack(KEYS, 1, 7)}
local opened, orphans = {KEYS[4], KEYS[5], KEYS[6]}, KEYS[7]
local delayed, delayed_tasks, dead, stats = KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local totals, parts_prefix, body_prefix = KEYS[12], KEYS[13], KEYS[14]
local group = 'workers'

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whoever reaches this Redis can add entries; what theirs lack is nothing, not an error in a worker.
local function as_table(fields)
    local named = {i = '', r = '', b = 'none', l = '2'}
    for at = 1, #fields, 2 do named[fields[at]] = fields[at + 1] end
    return named
end

local function with(fields, name, value)
    for at = 1, #fields, 2 do
        if fields[at] == name then fields[at + 1] = value; return fields end
    end
    fields[#fields + 1] = name
    fields[#fields + 1] = value
    return fields
end

local function level_of(number, task)
    return number < 7 and (number - 1) % 3 + 1 or tonumber(task.l) or 2
end

local function first_waiting(stream)
    local info = redis.call('XINFO', 'GROUPS', stream)[1] or error('NOGROUP in ' .. stream)
    for at = 1, #info, 2 do
        if info[at] == 'last-delivered-id' then
            return redis.call('XRANGE', stream, '(' .. info[at + 1], '+', 'COUNT', 1)[1]
        end
    end
end

-- The tasks of an entry, each with the fields it would have alone; a parcel that is damaged has none.
local function singles(task)
    if not task.m then
        local fields = {'i', task.i, 'r', task.r, 'b', task.b}
        if task.x then with(fields, 'x', task.x) end
        if task.a then with(fields, 'a', task.a) end
        return {fields}
    end
    local is_good, parts = pcall(cmsgpack.unpack, task.m)
    local all = {}
    for at = 1, is_good and type(parts) == 'table' and #parts or 0, 2 do
        if type(parts[at]) ~= 'string' or type(parts[at + 1]) ~= 'string' then return {} end
        all[#all + 1] = {'i', parts[at], 'r', task.r, 'b', parts[at + 1]}
        if task.x then with(all[#all], 'x', task.x) end
    end
    return all
end

-- Ids alone would not do: those of two streams may be the same.
local function parts_key(number, id)
    return parts_prefix .. number .. ':' .. id
end

local function remove(number, id)
    redis.call('XACK', streams[number], group, id)
    redis.call('XDEL', streams[number], id)
    redis.call('UNLINK', parts_key(number, id))
end

-- Let the tasks of an entry be taken one by one, before all others of their level.
local function open(number, id, fields)
    local task = as_table(fields)
    remove(number, id)
    for _, single in ipairs(singles(task)) do
        with(single, 'w', task.w or string.match(id, '^%d+'))
        redis.call('XADD', opened[level_of(number, task)], '*', unpack(single))
    end
end

-- Which of these {part, ...} of an entry of so many are finished only now; and whether all are by now.
local function settle(number, id, parts, total)
    local stream, key = streams[number], parts_key(number, id)
    if total == 1 or total == #parts and redis.call('EXISTS', key) == 0 then
        if redis.call('XACK', stream, group, id) == 0 then return {}, false end
        return parts, true
    end
    if #redis.call('XPENDING', stream, group, id, id, 1) == 0 then return {}, false end
    local first = {}
    for _, part in ipairs(parts) do
        if redis.call('SADD', key, part[1]) == 1 then first[#first + 1] = part end
    end
    local is_over = redis.call('SCARD', key) >= total
    if is_over then redis.call('XACK', stream, group, id) end
    return first, is_over
end

-- Bodies that lie apart and are needed no more; the caller is told, because they may lie in files.
local forgotten = {}
local function forget(task)
    if task.b == '' then
        redis.call('UNLINK', body_prefix .. task.i)
        forgotten[#forgotten + 1] = task.i
    end
end

local function put(level, delay_ms, fields, id, number)
    if delay_ms == 0 then
        with(fields, 'c', redis.call('HINCRBY', totals, level, number or 1) - (number or 1))
        redis.call('XADD', streams[level], '*', unpack(fields))
    else
        redis.call('HSET', delayed_tasks, id, cmsgpack.pack({level, fields}))
        redis.call('ZADD', delayed, now_ms() + delay_ms, id)
    end
end

local function waiting_entries(stream)
    return redis.call('XLEN', stream) - redis.call('XPENDING', stream, group)[1]
end

local function waiting_as_put(level)
    local first = first_waiting(streams[level])
    local total = first and tonumber(redis.call('HGET', totals, level)) or 0
    return first and total - (tonumber(as_table(first[2]).c) or total) or 0
end

local function waiting()
    local number = redis.call('ZCARD', delayed)
    for level = 1, 3 do
        number = number + waiting_as_put(level) + waiting_entries(opened[level])
    end
    return number
end
"""

PUT = (
    COMMON
    + """
-- level, delay_ms, lifetime_ms, max_waiting, drop_oldest, result_key, expire_ms, then
-- (1, id, encoded task) or, where there is neither delay nor limit, (number of tasks, "", parcel)...
local level, delay_ms, lifetime_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local max_waiting, drop_oldest = tonumber(ARGV[4]), ARGV[5] == '1'

local function drop_one()
    for level = 3, 1, -1 do
        local first = first_waiting(streams[level])
        if not first_waiting(opened[level]) and first then open(level, first[1], first[2]) end
        local oldest = first_waiting(opened[level])
        if oldest then
            local task = as_table(oldest[2])
            redis.call('XDEL', opened[level], oldest[1])
            forget(task)
            redis.call('HINCRBY', stats, 'dropped', 1)
            if task.r ~= '' then
                local text = 'the queue was full and this was its oldest task'
                local record = {task_id = task.i, status = 'dropped', error = text}
                redis.call('RPUSH', task.r, cmsgpack.pack({cmsgpack.pack(record)}))
                redis.call('PEXPIRE', task.r, ARGV[7])
            end
            return true
        end
    end
    return false
end

local room = -1
if max_waiting > 0 then room = max_waiting - waiting() end
local expires = lifetime_ms > 0 and tostring(now_ms() + lifetime_ms)
local taken = 0
for at = 8, #ARGV, 3 do
    if room == 0 and not (drop_oldest and drop_one()) then break end
    if room > 0 then room = room - 1 end
    local number, id, body = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
    local fields = {'i', id, 'r', ARGV[6], 'b', body}
    if number > 1 then fields = {'m', body, 'n', number, 'r', ARGV[6]} end
    if expires then with(fields, 'x', expires) end
    -- Until now it was to vanish on its own, had its sender died in between.
    if body == '' then redis.call('PERSIST', body_prefix .. id) end
    put(level, delay_ms, fields, id, number)
    taken = taken + number
end
redis.call('HINCRBY', stats, 'enqueued', taken)
return {taken, forgotten}
"""
)

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
    read_singles(level + 3)
    -- As many entries as tasks: there is no parcel among them.
    if count > 1 and waiting_as_put(level) == waiting_entries(streams[level]) then read_singles(level) end
    while count > 0 do
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
-- expire_ms, kept_dead, then per entry and outcome (stream, entry id, number of its parts, outcome,
-- result key, error, traceback, task id where its body lies apart, else "", packed {part, result, ...})...
-- A result is stored by whoever finishes first; the second result is let go.

local function bury(number, id, part, error, traceback)
    local entry = redis.call('XRANGE', streams[number], id, id)[1]
    local task = entry and as_table(entry[2])
    local fields = task and singles(task)[task.m and tonumber(part) or 1]
    if fields then
        fields = with(with(with(fields, 'l', level_of(number, task)), 'e', error), 't', traceback)
        redis.call('XADD', dead, '*', unpack(fields))
    end
end
local function add(lists, name, value)
    local list = lists[name] or {}
    lists[name] = list
    list[#list + 1] = value
end

local count, finished, results = {}, {}, {}
for at = 3, #ARGV, 9 do
    local number, id, outcome, result_key = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 3], ARGV[at + 4]
    local parts = {}
    local told = cmsgpack.unpack(ARGV[at + 8])
    for place = 1, #told, 2 do parts[#parts + 1] = {told[place], told[place + 1]} end
    local first, is_over = settle(number, id, parts, tonumber(ARGV[at + 2]))
    for _, part in ipairs(first) do
        if outcome == 'failed' then bury(number, id, part[1], ARGV[at + 5], ARGV[at + 6]) end
        if result_key ~= '' and part[2] ~= '' then add(results, result_key, part[2]) end
    end
    if #first > 0 and outcome ~= 'failed' and ARGV[at + 7] ~= '' then forget({i = ARGV[at + 7], b = ''}) end
    if is_over then add(finished, number, id) end
    count[outcome] = (count[outcome] or 0) + #first
    count['late'] = (count['late'] or 0) + #parts - #first
end
while redis.call('XLEN', dead) > tonumber(ARGV[2]) do
    local oldest = redis.call('XRANGE', dead, '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', dead, oldest[1])
    forget(as_table(oldest[2]))
end
-- In bulk, which is the cheap way: the calls of a script cost more than the work they do.
for number, ids in pairs(finished) do
    -- Lua hands over at most some thousands at once.
    for at = 1, #ids, 1000 do
        local last = math.min(at + 999, #ids)
        redis.call('XDEL', streams[number], unpack(ids, at, last))
        for place = at, last do ids[place] = parts_key(number, ids[place]) end
        redis.call('UNLINK', unpack(ids, at, last))
    end
end
for result_key, values in pairs(results) do
    redis.call('RPUSH', result_key, cmsgpack.pack(values))
    redis.call('PEXPIRE', result_key, ARGV[1])
end
for outcome, number in pairs(count) do
    if number > 0 then redis.call('HINCRBY', stats, outcome, number) end
end
return {count['late'] or 0, forgotten}
"""
)

PUT_BACK = (
    COMMON
    + """
-- counter ("" for none), then (stream, entry id, number of its parts, part, delay_ms, attempts)...
local moved, known = 0, {}
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
            put(level, delay_ms, with(fields, 'a', ARGV[at + 5]), as_table(fields).i)
            moved = moved + 1
        end
    end
    if is_over then remove(number, id) end
end
if moved > 0 and ARGV[1] ~= '' then redis.call('HINCRBY', stats, ARGV[1], moved) end
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


def keys_of(name: str) -> list[str]:
    """The keys every script is given, in the order the scripts expect.

    The braces put all keys of a queue on one node of a Redis cluster.
    """
    parts = [*STREAMS, "delayed", "delayed:tasks", "dead", "stats", "totals", "parts:", "body:"]
    return [f"toolkit:{{{name}}}:{part}" for part in parts]

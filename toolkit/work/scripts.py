"""What happens to a task inside Redis: each step one script, so no crash can fall between its parts.

The keys of a queue, all built from its name by :func:`keys_of`:

- ``tasks:high``, ``tasks:normal``, ``tasks:low``: streams, one per priority, read by the consumer group
  :data:`GROUP`. A task in hand is pending in the group; a finished one is deleted. The fields of an entry:
  ``i`` task id, ``r`` key of the result list ("" for none), ``b`` the encoded task ("" when it lies apart);
  where there is one, ``x`` its deadline (ms of Redis's clock) and ``a`` the attempts made before this entry.
- ``delayed``: sorted set of task ids by due time, their entries packed in the hash ``delayed:tasks``.
- ``dead``: stream of the newest :data:`KEPT_DEAD` tasks that failed for good, with ``l`` level, ``e`` error
  and ``t`` traceback.
- ``stats``: hash of counters by outcome.
- ``body:<task id>``: the encoded task where it is big, and not in a file (:mod:`toolkit.work.bodies`).

Redis's own clock is the only clock, so hosts need not agree on the time.
"""

from __future__ import annotations

GROUP = "workers"
LEVELS = ("high", "normal", "low")
KEPT_DEAD = 1000
DEAD_KEY, BODY_KEY = 5, 7
"""Places in :func:`keys_of` that are used outside the scripts."""

_COMMON = """
redis.replicate_commands()
local streams = {KEYS[1], KEYS[2], KEYS[3]}
local delayed, delayed_tasks, dead, stats = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local group, body_prefix = 'workers', KEYS[8]

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function last_delivered(stream)
    local info = redis.call('XINFO', 'GROUPS', stream)[1] or error('NOGROUP in ' .. stream)
    for at = 1, #info, 2 do
        if info[at] == 'last-delivered-id' then return info[at + 1] end
    end
end

local function in_hand(stream)
    return redis.call('XPENDING', stream, group)[1]
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

-- Bodies that lie apart and are needed no more; the caller is told, because they may lie in files.
local forgotten = {}
local function forget(task)
    if task.b == '' then
        redis.call('UNLINK', body_prefix .. task.i)
        forgotten[#forgotten + 1] = task.i
    end
end

local function put(level, delay_ms, fields, id)
    if delay_ms == 0 then
        redis.call('XADD', streams[level], '*', unpack(fields))
    else
        redis.call('HSET', delayed_tasks, id, cmsgpack.pack({level, fields}))
        redis.call('ZADD', delayed, now_ms() + delay_ms, id)
    end
end

local function waiting()
    local number = redis.call('ZCARD', delayed)
    for _, stream in ipairs(streams) do
        number = number + redis.call('XLEN', stream) - in_hand(stream)
    end
    return number
end
"""

PUT = (
    _COMMON
    + """
-- level, delay_ms, lifetime_ms, max_waiting, drop_oldest, result_key, expire_ms, then (id, body)...
local level, delay_ms, lifetime_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local max_waiting, drop_oldest = tonumber(ARGV[4]), ARGV[5] == '1'

local function drop_one()
    for at = #streams, 1, -1 do
        local after = '(' .. last_delivered(streams[at])
        local oldest = redis.call('XRANGE', streams[at], after, '+', 'COUNT', 1)[1]
        if oldest then
            local task = as_table(oldest[2])
            redis.call('XDEL', streams[at], oldest[1])
            forget(task)
            redis.call('HINCRBY', stats, 'dropped', 1)
            if task.r ~= '' then
                local text = 'the queue was full and this was its oldest task'
                local record = {task_id = task.i, status = 'dropped', error = text}
                redis.call('RPUSH', task.r, cmsgpack.pack(record))
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
for at = 8, #ARGV, 2 do
    if room == 0 and not (drop_oldest and drop_one()) then break end
    if room > 0 then room = room - 1 end
    local fields = {'i', ARGV[at], 'r', ARGV[6], 'b', ARGV[at + 1]}
    if expires then with(fields, 'x', expires) end
    -- Until now it was to vanish on its own, had its sender died in between.
    if ARGV[at + 1] == '' then redis.call('PERSIST', body_prefix .. ARGV[at]) end
    put(level, delay_ms, fields, ARGV[at])
    taken = taken + 1
end
redis.call('HINCRBY', stats, 'enqueued', taken)
return {taken, forgotten}
"""
)

TAKE = (
    _COMMON
    + """
-- consumer, count, stale_ms (0: do not look for tasks of dead workers)
-- returns now, ms until the next delayed task is due (-1: none), and {level, deliveries, entries}...
local consumer, count, stale_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100)) do
    local level_and_fields = cmsgpack.unpack(redis.call('HGET', delayed_tasks, id))
    put(level_and_fields[1], 0, level_and_fields[2], id)
    redis.call('HDEL', delayed_tasks, id)
    redis.call('ZREM', delayed, id)
end
local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
local wait_ms = next_due and math.max(next_due - now, 1) or -1

-- A task that outlived its worker travels alone: what killed one worker must not take neighbours along again.
if stale_ms > 0 then
    for level, stream in ipairs(streams) do
        for _, stale in ipairs(redis.call('XPENDING', stream, group, 'IDLE', stale_ms, '-', '+', 1)) do
            local entry = redis.call('XCLAIM', stream, group, consumer, stale_ms, stale[1])[1]
            if entry and entry[2] then
                redis.call('HINCRBY', stats, 'taken_over', 1)
                return {now, wait_ms, {{level, stale[4] + 1, {entry}}}}
            end
            redis.call('XACK', stream, group, stale[1])
        end
    end
end

local taken = {}
for level, stream in ipairs(streams) do
    if count > 0 then
        local new = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, '>')
        if new then
            taken[#taken + 1] = {level, 1, new[1][2]}
            count = count - #new[1][2]
        end
    end
end
return {now, wait_ms, taken}
"""
)

FINISH = (
    _COMMON
    + """
-- expire_ms, kept_dead, then (level, entry id, outcome, result key, result, error, traceback,
-- task id where its body lies apart, else "")...
-- A result is stored by whoever finishes first: acknowledging twice gives 0, and the second result is let go.
local function add(lists, name, value)
    local list = lists[name] or {}
    lists[name] = list
    list[#list + 1] = value
end

local count, finished, results = {}, {}, {}
for at = 3, #ARGV, 8 do
    local stream, id = streams[tonumber(ARGV[at])], ARGV[at + 1]
    local outcome, result_key = ARGV[at + 2], ARGV[at + 3]
    if redis.call('XACK', stream, group, id) == 1 then
        if outcome == 'failed' then
            local entry = redis.call('XRANGE', stream, id, id)[1]
            if entry then
                local fields = with(with(with(entry[2], 'l', ARGV[at]), 'e', ARGV[at + 5]), 't', ARGV[at + 6])
                redis.call('XADD', dead, '*', unpack(fields))
            end
        end
        add(finished, stream, id)
        if outcome ~= 'failed' and ARGV[at + 7] ~= '' then forget({i = ARGV[at + 7], b = ''}) end
        if result_key ~= '' and ARGV[at + 4] ~= '' then
            add(results, result_key, ARGV[at + 4])
        end
        count[outcome] = (count[outcome] or 0) + 1
    else
        count['late'] = (count['late'] or 0) + 1
    end
end
while redis.call('XLEN', dead) > tonumber(ARGV[2]) do
    local oldest = redis.call('XRANGE', dead, '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', dead, oldest[1])
    forget(as_table(oldest[2]))
end
-- In bulk, which is the cheap way: the calls of a script cost more than the work they do.
for stream, ids in pairs(finished) do redis.call('XDEL', stream, unpack(ids)) end
for result_key, values in pairs(results) do
    redis.call('RPUSH', result_key, unpack(values))
    redis.call('PEXPIRE', result_key, ARGV[1])
end
for outcome, number in pairs(count) do redis.call('HINCRBY', stats, outcome, number) end
return {count['late'] or 0, forgotten}
"""
)

PUT_BACK = (
    _COMMON
    + """
-- counter ("" for none), then (level, entry id, delay_ms, attempts)...
local moved = 0
for at = 2, #ARGV, 4 do
    local level, id = tonumber(ARGV[at]), ARGV[at + 1]
    if redis.call('XACK', streams[level], group, id) == 1 then
        local entry = redis.call('XRANGE', streams[level], id, id)[1]
        if entry then
            local fields = with(entry[2], 'a', ARGV[at + 3])
            redis.call('XDEL', streams[level], id)
            put(level, tonumber(ARGV[at + 2]), fields, as_table(fields).i)
            moved = moved + 1
        end
    end
end
if moved > 0 and ARGV[1] ~= '' then redis.call('HINCRBY', stats, ARGV[1], moved) end
return moved
"""
)

RENEW = (
    _COMMON
    + """
-- consumer, then (level, entry id)...; returns how many are another worker's by now
local lost = 0
for at = 2, #ARGV, 2 do
    local stream, id = streams[tonumber(ARGV[at])], ARGV[at + 1]
    if #redis.call('XPENDING', stream, group, id, id, 1, ARGV[1]) == 1 then
        redis.call('XCLAIM', stream, group, ARGV[1], 0, id, 'JUSTID')
    else
        lost = lost + 1
    end
end
return lost
"""
)

MAKE_GROUPS = (
    _COMMON
    + """
-- pcall, because the groups that exist already are right.
for _, stream in ipairs(streams) do redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM') end
"""
)

FREE = (
    _COMMON
    + """
-- consumer, idle_ms: what a consumer holds counts as silent for so long, so that the next one takes it over
local freed = 0
for _, stream in ipairs(streams) do
    for _, held in ipairs(redis.call('XPENDING', stream, group, '-', '+', 10000, ARGV[1])) do
        redis.call('XCLAIM', stream, group, ARGV[1], 0, held[1], 'IDLE', ARGV[2], 'JUSTID')
        freed = freed + 1
    end
end
return freed
"""
)

LOOK = (
    _COMMON
    + """
-- returns waiting (delayed too), in hand, delayed, dead, age of the oldest waiting in ms (-1: none), counters
local pending, oldest, now = 0, -1, now_ms()
for _, stream in ipairs(streams) do
    pending = pending + in_hand(stream)
    local entry = redis.call('XRANGE', stream, '(' .. last_delivered(stream), '+', 'COUNT', 1)[1]
    if entry then oldest = math.max(oldest, now - tonumber(string.match(entry[1], '^%d+'))) end
end
local counters = redis.call('HGETALL', stats)
return {waiting(), pending, redis.call('ZCARD', delayed), redis.call('XLEN', dead), oldest, counters}
"""
)

SIZE = _COMMON + "return waiting()"

CLEAR = (
    _COMMON
    + """
-- Only what nobody has taken: tasks in hand are finished by their workers.
local after = {}
-- First, because what a script has done stays done when it fails at a missing group.
for level, stream in ipairs(streams) do after[level] = '(' .. last_delivered(stream) end
local dropped = redis.call('ZCARD', delayed)
for _, packed in ipairs(redis.call('HVALS', delayed_tasks)) do
    forget(as_table(cmsgpack.unpack(packed)[2]))
end
redis.call('DEL', delayed, delayed_tasks)
for level, stream in ipairs(streams) do
    repeat
        local entries = redis.call('XRANGE', stream, after[level], '+', 'COUNT', 100)
        for _, entry in ipairs(entries) do
            redis.call('XDEL', stream, entry[1])
            forget(as_table(entry[2]))
        end
        dropped = dropped + #entries
    until #entries == 0
end
redis.call('HINCRBY', stats, 'cleared', dropped)
return {dropped, forgotten}
"""
)

SETTLE_DEAD = (
    _COMMON
    + """
-- requeue ("1") or drop, "*" for all or "" and then task ids...
local is_wanted = {}
for at = 3, #ARGV do is_wanted[ARGV[at]] = true end
local settled = 0
for _, entry in ipairs(redis.call('XRANGE', dead, '-', '+')) do
    local task = as_table(entry[2])
    if ARGV[2] == '*' or is_wanted[task.i] then
        redis.call('XDEL', dead, entry[1])
        if ARGV[1] == '1' then
            put(tonumber(task.l) or 2, 0, {'i', task.i, 'r', task.r, 'b', task.b}, task.i)
        else
            forget(task)
        end
        settled = settled + 1
    end
end
return {settled, forgotten}
"""
)

RETIRE = (
    _COMMON
    + """
-- Deleting a consumer deletes what it holds; one that still holds something is left for others to take over.
for _, stream in ipairs(streams) do
    if #redis.call('XPENDING', stream, group, '-', '+', 1, ARGV[1]) == 0 then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, ARGV[1])
    end
end
"""
)


def keys_of(name: str) -> list[str]:
    """The keys every script is given, in the order the scripts expect.

    The braces put all keys of a queue on one node of a Redis cluster.
    """
    parts = [f"tasks:{level}" for level in LEVELS] + ["delayed", "delayed:tasks", "dead", "stats", "body:"]
    return [f"toolkit:{{{name}}}:{part}" for part in parts]

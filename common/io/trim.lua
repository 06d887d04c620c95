-- Removes the finished prefix of a stream: everything before the oldest pending entry or, with nothing pending, before the
-- last delivered one, which itself must stay: Redis 7.0 reports no lag once the entry at last-delivered-id is gone.
-- A stream whose last id lies more than a minute ahead of Redis's clock (somebody added with an id of his own) gives new
-- entries ids that say nothing about their time, and at the last possible id it takes none: once everything in it is
-- finished it is deleted, so that it begins anew.
-- KEYS[1] stream, ARGV[1] group. Returns the number of entries removed.
local function fields(list)
    local t = {}
    for i = 1, #list, 2 do
        t[list[i]] = list[i + 1]
    end
    return t
end
local stop = redis.call('XPENDING', KEYS[1], ARGV[1])[2]
if not stop then
    local stream = fields(redis.call('XINFO', 'STREAM', KEYS[1]))
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
        local info = fields(group)
        if info['name'] == ARGV[1] then
            stop = info['last-delivered-id']
        end
    end
    local last = stream['last-generated-id']
    if stop == last and tonumber(string.match(last, '^%d+')) > (redis.call('TIME')[1] + 60) * 1000 then
        redis.call('DEL', KEYS[1])
        return stream['length']
    end
end
if not stop or stop == '0-0' then
    return 0
end
return redis.call('XTRIM', KEYS[1], 'MINID', stop)

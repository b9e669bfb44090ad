-- Asks Symbolon whether a request may pass: `http-request lua.symbolon <URL of /v1/authorize>`.

local IDENTITY = {
    "x-symbolon-account",
    "x-symbolon-environment",
    "x-symbolon-service-account",
    "x-symbolon-service-account-name",
    "x-symbolon-token",
    "x-symbolon-scopes",
    "x-symbolon-expires-at",
}
local REFUSAL = {
    "content-type",
    "www-authenticate",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "x-symbolon-code",
}
-- Longer than any request that waits for an answer.
local TIMEOUT_MS = 2000

-- The values of a header, whatever the list begins to count at.
local function values(headers, name)
    local list = {}
    local found = headers and headers[name]
    if found then
        for at = 0, #found do
            if found[at] ~= nil then
                table.insert(list, found[at])
            end
        end
    end
    return list
end

core.register_action("symbolon", { "http-req" }, function(txn, url)
    -- The address as HAProxy saw it, not as the client says. Of two tokens none counts: both are sent.
    local ask = { ["x-forwarded-for"] = { txn.sf:src() } }
    local authorization = values(txn.http:req_get_headers(), "authorization")
    if #authorization > 0 then
        ask["authorization"] = authorization
    end
    local answer = core.httpclient():get({ url = url, headers = ask, timeout = TIMEOUT_MS })
    if answer and answer.status == 200 then
        for _, name in ipairs(IDENTITY) do
            local value = values(answer.headers, name)[1]
            if value and value ~= "" then
                txn.http:req_set_header(name, value)
            end
        end
        return
    end

    -- Nothing passes while nobody can tell.
    local status = answer and answer.status or 503
    if status ~= 401 and status ~= 403 and status ~= 429 then
        status = 503
    end
    local reply = txn:reply({ status = status })
    if status ~= 503 then
        for _, name in ipairs(REFUSAL) do
            local value = values(answer.headers, name)[1]
            if value then
                reply:add_header(name, value)
            end
        end
        reply:set_body(answer.body or "")
    end
    txn:done(reply)
end, 1)

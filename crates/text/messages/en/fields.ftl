# What is wrong with one field.

field-required = This field is required.
field-unknown-field = There is no such field.
field-wrong-type = The type is wrong; wanted: { $wanted }.
field-too-short = { $min ->
    [one] Give at least one character.
   *[other] Give at least { $min } characters.
  }
field-too-long = { $max ->
    [one] Give at most one character.
   *[other] Give at most { $max } characters.
  }
field-too-many = { $max ->
    [one] Give at most one entry.
   *[other] Give at most { $max } entries.
  }
field-out-of-range = Choose a number from { $min } to { $max }.
field-illegal-characters = There are characters that are not allowed here.
field-not-an-email = This is not an e-mail address.
field-not-a-time = Give a time with its offset, such as 2030-01-31T12:00:00Z.
field-not-in-future = The time must be in the future.
field-not-a-span = Give a length of time, such as 30s, 15m, 24h, 90d or P90D.
field-not-an-id = This is not an id.
field-unexpected-ref-type = This id names something of another type.
field-not-a-scope = This is not a scope. A scope looks like invoices:read or invoices:*.
field-not-a-network = This is not a network: an IPv4 or IPv6 address, or a range such as 10.0.0.0/8 with no bits set beyond its length.
field-not-an-address = This is not an IPv4 or IPv6 address.
field-not-a-prefix = This is not a prefix: two to fifteen lower-case letters and digits, a letter first, then “_” or “:”.
field-not-allowed = This is not one of the allowed values: { $allowed }.
field-not-found = Nothing with this id exists in the account.
field-beyond-policy = The account’s policy allows at most { $max }.
field-before-start = The end is not after the start.
field-cannot-be-null = This field cannot be null.
field-beyond-limit = At most { $max }.
field-disowned = The reader of this address has said that it is not theirs; it gets no more mail about this service account.

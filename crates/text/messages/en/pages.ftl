# The pages for people.

page-product = Symbolon
page-tagline = Service accounts and their tokens, looked after.

page-confirm-title = Is this service account yours?
page-confirm-intro = Your address was given as the contact of this service account. Confirm it if you answer for it.
page-confirm-service-account = Service account
page-confirm-account = Account
page-confirm-email = Your address
page-confirm-button = Yes, confirm
page-confirm-disown = This is not mine
page-confirm-disown-hint = Choose “This is not mine” if you do not know it. We will note it and stop writing to you about it.
page-confirm-expiry = You can decide until { $expires }.

page-confirmed-title = Thank you, it is confirmed
page-confirmed-text = You are now the contact of this service account. We will write to you when it needs attention. You can close this page.

page-disowned-title = Thank you for telling us
page-disowned-text = We noted that this is not yours. We will not write to you about this service account again. You can close this page.

page-link-unknown-title = We do not know this link
page-link-unknown-text = Perhaps a part of it was cut off. Please copy the whole address again from where you found it.
page-link-used-title = This link was used already
page-link-used-text = There is nothing more to do. If this surprises you, ask the people who run this service.
page-link-expired-title = This link is no longer valid
page-link-expired-text = Its time is over, or a newer mail took its place. Please look for a newer mail, or ask for the confirmation to be sent again.

page-setup-title = Choose your password
page-setup-intro = You are the owner of this new instance. Choose the password that you will sign in with.
page-setup-email = Your address
page-setup-password = Password
page-setup-repeat = The same password again
page-setup-hint = { $min ->
    [one] At least one character. A few words that you can remember are better than one word that is hard to type.
   *[other] At least { $min } characters. A few words that you can remember are better than one word that is hard to type.
  }
page-setup-mismatch = The two passwords are not the same.
page-setup-button = Set the password
page-setup-errors = The password was not set yet
page-setup-done-title = Your password is set
page-setup-done-text = This instance is now yours. This link will not work again. You can close this page.
page-setup-used-title = This link was used already
page-setup-used-text = The password was set with it before. If that was not you, tell the people who run this service.
page-setup-expired-title = This link is no longer valid
page-setup-expired-text = Its time is over. The people who run this service can make a new one.

page-bad-form-title = We could not read this form
page-bad-form-text = Please go back, load the page again and press the button there.
page-too-large-title = This form is too large
page-too-large-text = Please go back, load the page again and enter less.
page-cross-site-title = This came from another site
page-cross-site-text = To protect you we did nothing. Please open the link itself again and press the button there.
page-method-title = This page does not work that way
page-method-text = Please open the link in a browser.
page-not-found-title = There is no page here
page-not-found-text = Please check the address.
page-rate-limited-title = A little too fast
page-rate-limited-text = Please wait a moment, then try again.
page-unavailable-title = Not available at the moment
page-unavailable-text = Nothing was changed. Please try again in a minute.
page-internal-title = Something went wrong here
page-internal-text = This is our mistake, not yours. Please try again later. If you ask for help, name this number:
page-request-id = Request id

page-home-title = Symbolon is running
page-home-text = This is a service for machine identities: service accounts and their tokens.
page-home-version = Version { $version }
page-home-docs = How to use it
page-home-health = Health check

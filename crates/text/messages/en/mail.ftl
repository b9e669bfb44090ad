# The mail that asks somebody to confirm that they answer for a service account.
# Names can contain any letter, also from another script.

mail-confirm-subject = Please confirm: { $service_account } ({ $account })
mail-confirm-reminder-subject = Reminder, please confirm: { $service_account } ({ $account })
mail-confirm-heading = Please confirm this service account
mail-confirm-reminder-heading = This service account still waits for you
mail-confirm-intro = Your address was given as the contact of the service account “{ $service_account }” in the account “{ $account }”.
mail-confirm-reminder-intro = A few days ago we asked you to confirm that you are the contact of the service account “{ $service_account }” in the account “{ $account }”. We have not heard from you yet.
mail-confirm-about = Symbolon looks after the accounts that programs use to sign in to each other, and tells the people who answer for them when something needs attention.
mail-confirm-action = To confirm that you are its contact, open this page and press the button there.
mail-confirm-button = Look and confirm
mail-confirm-link-hint = If the button does not work, copy this address into your browser:
mail-confirm-unexpected = If you did not expect this mail, open the same page and choose “This is not mine”. We will note it, and will not write to you about this service account again. You can also do nothing: then nothing is confirmed.
mail-confirm-expiry = The link works until { $expires }.
mail-confirm-footer = A program sent this mail. Answers to it are not read.
mail-confirm-reminder-footer = This is the only reminder. A program sent this mail. Answers to it are not read.

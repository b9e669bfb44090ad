# البريد الذي يطلب تأكيد جهة الاتصال لحساب خدمة.
# Names are mostly Latin: the isolates keep their brackets and digits in place in right-to-left text.

mail-confirm-subject = يرجى التأكيد: {"\u2068"}{ $service_account }{"\u2069"} ({"\u2068"}{ $account }{"\u2069"})
mail-confirm-reminder-subject = تذكير، يرجى التأكيد: {"\u2068"}{ $service_account }{"\u2069"} ({"\u2068"}{ $account }{"\u2069"})
mail-confirm-heading = يرجى تأكيد حساب الخدمة هذا
mail-confirm-reminder-heading = حساب الخدمة هذا ما زال ينتظرك
mail-confirm-intro = ذُكر عنوانك جهةَ اتصال لحساب الخدمة «{"\u2068"}{ $service_account }{"\u2069"}» في الحساب «{"\u2068"}{ $account }{"\u2069"}».
mail-confirm-reminder-intro = طلبنا منك قبل بضعة أيام تأكيد أنك جهة الاتصال لحساب الخدمة «{"\u2068"}{ $service_account }{"\u2069"}» في الحساب «{"\u2068"}{ $account }{"\u2069"}»، ولم يصلنا ردك بعد.
mail-confirm-about = يعتني Symbolon بالحسابات التي تستخدمها البرامج للتعريف بنفسها لدى برامج أخرى، ويُعلم المسؤولين عنها عندما يحتاج شيء إلى انتباههم.
mail-confirm-action = لتأكيد أنك جهة الاتصال، افتح هذه الصفحة واضغط الزر فيها.
mail-confirm-button = المراجعة والتأكيد
mail-confirm-link-hint = إن لم يعمل الزر، فانسخ هذا العنوان إلى المتصفح:
mail-confirm-unexpected = إن لم تكن تتوقع هذه الرسالة، فافتح الصفحة نفسها واختر «هذا ليس لي». سنسجّل ذلك ولن نراسلك مجددًا بشأن حساب الخدمة هذا. ويمكنك أيضًا ألا تفعل شيئًا: عندها لا يُؤكَّد شيء.
mail-confirm-expiry = يعمل الرابط حتى { $expires }.
mail-confirm-footer = أرسل هذه الرسالةَ برنامج، ولا تُقرأ الردود عليها.
mail-confirm-reminder-footer = هذا هو التذكير الوحيد. أرسل هذه الرسالةَ برنامج، ولا تُقرأ الردود عليها.

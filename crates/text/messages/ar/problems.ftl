# أسباب رفض الطلبات. العنوان قصير وثابت، والقيمة تشرح وتقول ما يفيد.

problem-malformed-body = محتوى الطلب ليس JSON صحيحًا.
    .title = تعذّرت قراءة المحتوى
problem-malformed-body-at = محتوى الطلب ليس JSON صحيحًا: انظر السطر { $line }، العمود { $column }.
    .title = تعذّرت قراءة المحتوى
problem-malformed-request = إحدى الترويسات أو جزء من المسار أو أحد معاملات الاستعلام ليس كما يجب.
    .title = تعذّرت قراءة الطلب
problem-validation-failed = بعض الحقول لا يمكن قبولها. كل حقل مذكور مع سببه.
    .title = بعض الحقول غير مقبولة
unleash-validation-failed = لم يجتز الطلب التحقق
problem-unauthenticated = أرسل رمزًا صالحًا في الترويسة «Authorization: Bearer …».
    .title = لم يتم التحقق من الهوية
problem-permission-missing = يحتاج هذا إلى الصلاحية «{ $permission }»، ورمزك لا يملكها.
    .title = صلاحية ناقصة
problem-not-allowed-here = لا يجوز استخدام رمزك من هذا العنوان أو بهذه الطريقة.
    .title = غير مسموح من هنا
problem-cross-origin-basic = الطلبات التي تغيّر شيئًا وتستخدم مصادقة Basic لا يجوز أن تحمل الترويسة «Origin». أرسل رمزًا بدلًا من ذلك.
    .title = مصادقة Basic من صفحة ويب
problem-contact-unconfirmed = يشترط هذا الحساب جهة اتصال مؤكدة، ولم يؤكد أحد بعد جهة اتصال حساب الخدمة هذا.
    .title = جهة الاتصال غير مؤكدة
problem-rate-limited = الطلبات كثيرة جدًا. انتظر قليلًا ثم حاول مجددًا.
    .title = طلبات كثيرة جدًا
problem-account-required = في هذه المنصة عدة حسابات: حدد الحساب المقصود في المعامل «account».
    .title = الحساب غير محدد
problem-mint-exceeds-authority = لا يمكنك منح «{ $scope }» لأن رمزك نفسه لا يملكها.
    .title = أكثر مما تملك
problem-scope-exceeded = النطاق «{ $scope }» خارج ما يسمح به حساب الخدمة أو الحساب الذي يتبعه.
    .title = نطاق غير مسموح
problem-reach-exceeded = ستتجاوز النتيجة بيئتك.
    .title = خارج بيئتك
problem-not-found = لا يوجد هنا شيء يمكنك رؤيته.
    .title = غير موجود
problem-method-not-allowed = هذا العنوان لا يقبل هذه الطريقة. الطرق المقبولة مذكورة في الترويسة «Allow».
    .title = طريقة غير مسموحة
problem-payload-too-large = محتوى الطلب أكبر من المسموح.
    .title = أكبر من المسموح
problem-unsupported-media-type = أرسل المحتوى بالنوع «application/json».
    .title = نوع محتوى غير مدعوم
problem-request-timeout = استغرق وصول الطلب وقتًا أطول من اللازم.
    .title = بطيء جدًا
problem-account-suspended = هذا الحساب معلَّق.
    .title = الحساب معلَّق
problem-service-account-suspended = حساب الخدمة هذا معلَّق. فعّله أولًا.
    .title = حساب الخدمة معلَّق
problem-service-account-revoked = حساب الخدمة هذا ملغى، وهذا نهائي: أنشئ حسابًا جديدًا.
    .title = حساب الخدمة ملغى
problem-token-suspended = هذا الرمز معلَّق. فعّله أولًا.
    .title = الرمز معلَّق
problem-token-revoked = هذا الرمز ملغى، وهذا نهائي: أنشئ رمزًا جديدًا.
    .title = الرمز ملغى
problem-invalid-action = لا يمكن فعل ذلك في الحالة الحالية.
    .title = غير ممكن الآن
problem-rotation-in-progress = ما زال رمز سابق في فترة السماح. انتظر حتى تنتهي، أو بدّل الرمز دون فترة سماح لإنهائها الآن.
    .title = تبديل الرمز جارٍ
problem-token-limit-reached = { $limit ->
    [zero] لا يجوز أن يملك حساب الخدمة هنا أي رمز فعّال.
    [one] يجوز أن يملك حساب الخدمة هنا رمزًا فعّالًا واحدًا.
    [two] يجوز أن يملك حساب الخدمة هنا رمزين فعّالين.
    [few] يجوز أن يملك حساب الخدمة هنا { $limit } رموز فعّالة.
    [many] يجوز أن يملك حساب الخدمة هنا { $limit } رمزًا فعّالًا.
   *[other] يجوز أن يملك حساب الخدمة هنا { $limit } رمز فعّال.
  } ألغِ رمزًا لم تعد تحتاج إليه.
    .title = رموز كثيرة جدًا
problem-nothing-to-confirm = لا توجد جهة اتصال لتأكيدها، أو أنها مؤكدة من قبل.
    .title = لا شيء للتأكيد
problem-resend-limited = أُرسل طلب التأكيد قبل قليل، أو مرات كثيرة اليوم. حاول لاحقًا.
    .title = أُرسل مرات كثيرة
problem-name-taken = هذا الاسم مستخدم من قبل. اختر اسمًا آخر.
    .title = الاسم مستخدم
problem-username-taken = اسم المستخدم هذا مستخدم من قبل. اختر اسمًا آخر.
    .title = اسم المستخدم مستخدم
problem-description-taken = لدى المالك نفسه رمز آخر بهذا الوصف. اختر وصفًا آخر.
    .title = الوصف مستخدم
problem-already-bootstrapped = سبق إعداد هذه النسخة.
    .title = سبق الإعداد
problem-version-mismatch = تغيّر منذ أن قرأته. اقرأه من جديد ثم كرّر تعديلك.
    .title = تغيّر في هذه الأثناء
problem-idempotency-in-progress = ما زال العمل جاريًا على الطلب نفسه. حاول بعد لحظة.
    .title = العمل ما زال جاريًا
problem-idempotency-key-reused = استُخدم هذا «Idempotency-Key» لطلب مختلف. استخدم مفتاحًا جديدًا.
    .title = المفتاح مستخدم لطلب آخر
problem-link-unknown = هذا الرابط ليس من روابطنا. تأكد من أنه كامل.
    .title = رابط غير معروف
problem-link-used = سبق استخدام هذا الرابط.
    .title = رابط مستخدم
problem-link-expired = لم يعد هذا الرابط صالحًا.
    .title = رابط لم يعد صالحًا
problem-unavailable = لا تستطيع الخدمة الإجابة الآن. حاول بعد قليل.
    .title = غير متاحة الآن
problem-internal = حدث خطأ من جانبنا. إن طلبت المساعدة فاذكر معرّف الطلب.
    .title = خطأ من جانبنا

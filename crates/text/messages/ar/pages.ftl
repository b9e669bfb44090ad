# الصفحات التي يراها الناس.

page-product = Symbolon
page-tagline = حسابات الخدمة ورموزها، في أيدٍ أمينة.

page-confirm-title = هل حساب الخدمة هذا لك؟
page-confirm-intro = ذُكر عنوانك جهةَ اتصال لحساب الخدمة هذا. أكّد ذلك إن كنت المسؤول عنه.
page-confirm-service-account = حساب الخدمة
page-confirm-account = الحساب
page-confirm-email = عنوانك
page-confirm-button = نعم، أؤكّد
page-confirm-disown = هذا ليس لي
page-confirm-disown-hint = اختر «هذا ليس لي» إن كنت لا تعرفه. سنسجّل ذلك ونتوقف عن مراسلتك بشأنه.
page-confirm-expiry = يمكنك أن تقرر حتى { $expires }.

page-confirmed-title = شكرًا لك، تم التأكيد
page-confirmed-text = أنت الآن جهة الاتصال لحساب الخدمة هذا. سنراسلك عندما يحتاج إلى انتباهك. يمكنك إغلاق هذه الصفحة.

page-disowned-title = شكرًا لإخبارنا
page-disowned-text = سجّلنا أن هذا ليس لك. لن نراسلك مجددًا بشأن حساب الخدمة هذا. يمكنك إغلاق هذه الصفحة.

page-link-unknown-title = لا نعرف هذا الرابط
page-link-unknown-text = ربما قُطع جزء منه. انسخ العنوان كاملًا من جديد من حيث وجدته.
page-link-used-title = سبق استخدام هذا الرابط
page-link-used-text = لا شيء آخر مطلوب منك. إن فاجأك هذا، فاسأل القائمين على هذه الخدمة.
page-link-expired-title = لم يعد هذا الرابط صالحًا
page-link-expired-text = انتهت مدته، أو حلّت محلّه رسالة أحدث. ابحث عن رسالة أحدث، أو اطلب إرسال التأكيد من جديد.

page-setup-title = اختر كلمة المرور
page-setup-intro = أنت مالك هذه النسخة الجديدة. اختر كلمة المرور التي ستدخل بها.
page-setup-email = عنوانك
page-setup-password = كلمة المرور
page-setup-repeat = كلمة المرور نفسها مرة أخرى
page-setup-hint = { $min ->
    [zero] يمكن أن تكون فارغة. بضع كلمات تتذكرها أفضل من كلمة واحدة تصعب كتابتها.
    [one] حرف واحد على الأقل. بضع كلمات تتذكرها أفضل من كلمة واحدة تصعب كتابتها.
    [two] حرفان على الأقل. بضع كلمات تتذكرها أفضل من كلمة واحدة تصعب كتابتها.
    [few] { $min } أحرف على الأقل. بضع كلمات تتذكرها أفضل من كلمة واحدة تصعب كتابتها.
    [many] { $min } حرفًا على الأقل. بضع كلمات تتذكرها أفضل من كلمة واحدة تصعب كتابتها.
   *[other] { $min } حرف على الأقل. بضع كلمات تتذكرها أفضل من كلمة واحدة تصعب كتابتها.
  }
page-setup-mismatch = كلمتا المرور غير متطابقتين.
page-setup-button = تعيين كلمة المرور
page-setup-errors = لم تُعيَّن كلمة المرور بعد
page-setup-done-title = تم تعيين كلمة المرور
page-setup-done-text = هذه النسخة لك الآن. لن يعمل هذا الرابط مرة أخرى. يمكنك إغلاق هذه الصفحة.
page-setup-used-title = سبق استخدام هذا الرابط
page-setup-used-text = عُيّنت كلمة المرور به من قبل. إن لم تكن أنت من فعل ذلك، فأخبر القائمين على هذه الخدمة.
page-setup-expired-title = لم يعد هذا الرابط صالحًا
page-setup-expired-text = انتهت مدته. يستطيع القائمون على هذه الخدمة إنشاء رابط جديد.

page-bad-form-title = تعذّرت قراءة هذا النموذج
page-bad-form-text = ارجع وحمّل الصفحة من جديد ثم اضغط الزر فيها.
page-too-large-title = هذا النموذج أكبر من المسموح
page-too-large-text = ارجع وحمّل الصفحة من جديد وأدخل أقل.
page-cross-site-title = جاء هذا من موقع آخر
page-cross-site-text = لحمايتك لم نفعل شيئًا. افتح الرابط نفسه من جديد واضغط الزر هناك.
page-method-title = هذه الصفحة لا تعمل بهذه الطريقة
page-method-text = افتح الرابط في متصفح.
page-not-found-title = لا توجد صفحة هنا
page-not-found-text = تأكد من العنوان.
page-rate-limited-title = أسرع قليلًا مما يجب
page-rate-limited-text = انتظر لحظة ثم حاول مجددًا.
page-unavailable-title = غير متاحة الآن
page-unavailable-text = لم يتغيّر شيء. حاول بعد دقيقة.
page-internal-title = حدث خطأ هنا
page-internal-text = هذا خطأ من جانبنا لا من جانبك. حاول لاحقًا. إن طلبت المساعدة فاذكر هذا الرقم:
page-request-id = معرّف الطلب

page-home-title = Symbolon يعمل
page-home-text = هذه خدمة لهويات البرامج: حسابات الخدمة ورموزها.
page-home-version = الإصدار { $version }
page-home-docs = كيفية الاستخدام
page-home-health = حالة الخدمة

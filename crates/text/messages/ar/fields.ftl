# ما الخطأ في حقل واحد.

field-required = هذا الحقل مطلوب.
field-unknown-field = لا يوجد حقل بهذا الاسم.
field-wrong-type = النوع غير صحيح؛ المطلوب: { $wanted }.
field-too-short = { $min ->
    [zero] يمكن ترك الحقل فارغًا.
    [one] أدخل حرفًا واحدًا على الأقل.
    [two] أدخل حرفين على الأقل.
    [few] أدخل { $min } أحرف على الأقل.
    [many] أدخل { $min } حرفًا على الأقل.
   *[other] أدخل { $min } حرف على الأقل.
  }
field-too-long = { $max ->
    [zero] اترك الحقل فارغًا.
    [one] أدخل حرفًا واحدًا على الأكثر.
    [two] أدخل حرفين على الأكثر.
    [few] أدخل { $max } أحرف على الأكثر.
    [many] أدخل { $max } حرفًا على الأكثر.
   *[other] أدخل { $max } حرف على الأكثر.
  }
field-too-many = { $max ->
    [zero] اترك القائمة فارغة.
    [one] أدخل عنصرًا واحدًا على الأكثر.
    [two] أدخل عنصرين على الأكثر.
    [few] أدخل { $max } عناصر على الأكثر.
    [many] أدخل { $max } عنصرًا على الأكثر.
   *[other] أدخل { $max } عنصر على الأكثر.
  }
field-out-of-range = اختر عددًا من { $min } إلى { $max }.
field-illegal-characters = توجد حروف غير مسموحة هنا.
field-not-an-email = هذا ليس عنوان بريد إلكتروني.
field-not-a-time = أدخل وقتًا مع فارق التوقيت، مثل 2030-01-31T12:00:00Z.
field-not-in-future = يجب أن يكون الوقت في المستقبل.
field-not-a-span = أدخل مدة، مثل 30s أو 15m أو 24h أو 90d أو P90D.
field-not-an-id = هذا ليس معرّفًا.
field-unexpected-ref-type = هذا معرّف شيء من نوع آخر.
field-not-a-scope = هذا ليس نطاقًا. يبدو النطاق هكذا: invoices:read أو invoices:*.
field-not-a-network = هذه ليست شبكة: عنوان IPv4 أو IPv6، أو نطاق مثل 10.0.0.0/8 دون بتات مضبوطة بعد طوله.
field-not-an-address = هذا ليس عنوان IPv4 أو IPv6.
field-not-a-prefix = هذه ليست بادئة: من حرفين إلى خمسة عشر من الحروف اللاتينية الصغيرة والأرقام، تبدأ بحرف، ثم «_» أو «:».
field-not-allowed = هذه ليست من القيم المسموحة: { $allowed }.
field-not-found = لا يوجد في الحساب شيء بهذا المعرّف.
field-beyond-policy = تسمح سياسة الحساب بمدة أقصاها { $max }.
field-before-start = النهاية ليست بعد البداية.
field-cannot-be-null = لا يمكن أن تكون قيمة هذا الحقل null.
field-beyond-limit = على الأكثر { $max }.
field-disowned = قال قارئ هذا العنوان إنه ليس له، ولن تصله رسائل أخرى عن حساب الخدمة هذا.
